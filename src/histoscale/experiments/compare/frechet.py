"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

No mean over images, so none of its figures is in the scores: it is made of the features that `FeatureStore`
kept while they were found. A line a method and scale goes to a CSV file.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from histoscale.errors import InputError
from histoscale.experiments.frechet_distance import PATCH_PX, ExtractorName, load_extractor, patch_features
from histoscale.experiments.images import Enlarged, Picture
from histoscale.experiments.methods import label_of
from histoscale.experiments.results import read_rows
from histoscale.experiments.scores import BICUBIC
from histoscale.experiments.scoring import Job
from histoscale.files import atomic_write
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.models.extractors.base import FeatureExtractor

# Features of what each method made, kept beside the scores: a picture is made once, for both.
#
# A file a case. Features are told by weights, as scores are: another run finds what it can use again.


Features = Float[np.ndarray, "n d"]
ORIGINAL = "original"


@dataclass(frozen=True)
class FeatureStore:
    """The folder of a comparison's features.

    Attributes:
        path: of the folder.
        scales: at which features are wanted.
        extractor, inception_weights: which features, see `load_extractor`.
        patch_px: side of the patches that pictures are cut into.
    """

    path: Path
    scales: frozenset[float]
    extractor: ExtractorName = "tissue"
    inception_weights: Path | None = None
    device: str = "cpu"
    patch_px: int = PATCH_PX

    def load(self) -> FeatureExtractor:
        """The extractor, once a process.

        Raises:
            WeightsError, HistoscaleError: as `load_extractor` does.
        """
        return _load(self.extractor, self.inception_weights, self.device)

    def wants(self, job: Job) -> bool:
        """Whether a job is at one of the scales."""
        return job.case.scale in self.scales

    def read(self, job: Job) -> dict[str, Features]:
        """What is there of a job's own models, by model; the truth's under `ORIGINAL`."""
        stored = _stored(self._file(job))
        return {name: stored[key] for name, key in _keys(job).items() if key in stored}

    def missing(self, job: Job) -> set[str]:
        """The models, bicubic included, whose features are wanted and not there."""
        return _keys(job).keys() - self.read(job).keys() - {ORIGINAL} if self.wants(job) else set()

    def watch(self, job: Job, truth: Picture, made: Iterator[Enlarged]) -> Iterator[Enlarged]:
        """Pass on what a job makes, and keep its features once all of it is made.

        A picture that its model could not make, or only by another scale and bicubic, has no features: an
        array without columns stands for them.
        """
        if not self.wants(job):
            yield from made
            return
        extractor, keys = self.load(), _keys(job)
        resized = {entry.model for entry in job.entries if entry.through}
        found: dict[str, Features] = {keys[ORIGINAL]: patch_features(truth, extractor, self.patch_px)}
        for one in made:
            if one.bytes is None or one.model in resized:
                found[keys[one.model]] = np.empty((0, 0))
            else:
                found[keys[one.model]] = patch_features(one.bytes, extractor, self.patch_px)
            yield one
        self._add(job, found)

    def _add(self, job: Job, found: dict[str, Features]) -> None:
        path = self._file(job)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **cast(dict[str, Any], _stored(path) | found))

    def _file(self, job: Job) -> Path:
        """Where the features of a case are: other ones, or of other patches, are elsewhere."""
        case = job.case
        name = f"{quote(case.record.id, safe='')}-{case.degradation}-x{case.scale:g}.npz"
        return self.path / f"{self.extractor}-{self.patch_px}" / quote(case.record.set, safe="") / name


def _keys(job: Job) -> dict[str, str]:
    """The name of each array in a case's file: the model with the head of its weights' digest."""
    own = {entry.model: f"{entry.model}@{entry.file.digest}" for entry in job.entries}
    return {ORIGINAL: f"@{ORIGINAL}", BICUBIC: f"@{BICUBIC}", **own}


def _stored(path: Path) -> dict[str, Features]:
    """All arrays of a case; none where the file is missing or damaged: they are made again."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, BadZipFile):
        return {}


@lru_cache(maxsize=1)
def _load(name: ExtractorName, inception_weights: Path | None, device: str) -> FeatureExtractor:
    return load_extractor(name, inception_weights, device)


Setting: TypeAlias = tuple[str, str, float]
"""Data set, degradation and scale: what the figures of one column share."""


@dataclass(frozen=True)
class Distance:
    """One method on one data set at one scale; NaN where there are too few patches.

    Attributes:
        n: patches.
        extractor: name of the features.
        patch_px: side of a patch.
        weights: as in `Score`; empty for bicubic, and in tables from before it was written down.
    """

    dataset: str
    degradation: str
    scale: float
    model: str
    distance: float
    n: int
    extractor: str
    patch_px: int
    weights: str = ""


def measure(jobs: Sequence[Job], store: FeatureStore) -> Iterator[Distance]:
    """The distance of bicubic and of each model that makes the scale itself, setting by setting.

    Args:
        jobs: at scales that ``store`` wants, scored with its `FeatureStore.watch`.
    """
    for setting, members in group(jobs).items():
        extractor = store.load()
        truth, made = FeatureMoments(extractor.dimension), dict[str, FeatureMoments]()
        for job in members:
            kept = store.read(job)
            truth.add(kept.pop(ORIGINAL))
            for model, found in kept.items():
                if found.shape[1]:
                    made.setdefault(model, FeatureMoments(extractor.dimension)).add(found)
        digests = {entry.model: entry.file.digest for entry in members[0].entries}
        for model, moments in made.items():
            features = (moments.n, extractor.name, store.patch_px)
            yield Distance(*setting, model, _distance(truth, moments), *features, digests.get(model, ""))


def together(earlier: Iterable[Distance], measured: Iterable[Distance]) -> list[Distance]:
    """What was measured, after what an earlier run measured by the same features and this one did not."""
    found = list(measured)
    again = {(one.dataset, one.degradation, one.scale, one.model) for one in found}
    features = {(one.extractor, one.patch_px) for one in found}
    kept = (one for one in earlier if not found or (one.extractor, one.patch_px) in features)
    return [
        *(one for one in kept if (one.dataset, one.degradation, one.scale, one.model) not in again),
        *found,
    ]


def group(jobs: Iterable[Job]) -> dict[Setting, list[Job]]:
    """Jobs by `Setting`, in order."""
    found: dict[Setting, list[Job]] = {}
    for job in jobs:
        case = job.case
        found.setdefault((case.record.set, case.degradation, case.scale), []).append(job)
    return found


def mean_distances(distances: Iterable[Distance]) -> dict[Setting, dict[str, float]]:
    """By setting the distance of each row, the mean over its seeds; no row for which there is none."""
    found: dict[Setting, dict[str, list[float]]] = {}
    for one in distances:
        rows = found.setdefault((one.dataset, one.degradation, one.scale), {})
        if not math.isnan(one.distance):
            rows.setdefault(label_of(one.model), []).append(one.distance)
    return {
        setting: {label: statistics.fmean(seeds) for label, seeds in rows.items()}
        for setting, rows in found.items()
    }


def _distance(truth: FeatureMoments, made: FeatureMoments) -> float:
    """NaN for too few patches: the rest of a comparison stands without them."""
    try:
        return frechet_distance(truth, made)
    except InputError:
        return math.nan


def read_distances(path: Path) -> list[Distance]:
    """The distances that a comparison wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Distance, "the Frechet distances of a comparison")
