"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

It is no mean over images and so does not follow from the scores: it is made of the features that
`FeatureStore` kept while the images were scored. A CSV holds a line for each method and scale.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from histoscale.errors import InputError
from histoscale.experiments.frechet_distance import PATCH_PX, ExtractorName, load_extractor, patch_features
from histoscale.experiments.images import RgbImage, Upscaled
from histoscale.experiments.methods import BICUBIC, label_of
from histoscale.experiments.results import read_rows
from histoscale.experiments.scoring import ScoringJob
from histoscale.files import atomic_write
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.models.extractors.base import FeatureExtractor

Features = Float[np.ndarray, "n d"]
ORIGINAL = "original"


class FeatureChoice(NamedTuple):
    """Which features a Frechet distance is of.

    Attributes:
        extractor, inception_weights: see `load_extractor`.
        patch_px: side of the patches that images are cut into.
    """

    extractor: ExtractorName = "tissue"
    inception_weights: Path | None = None
    patch_px: int = PATCH_PX


SHIPPED_FEATURES = FeatureChoice()


@dataclass(frozen=True)
class FeatureStore:
    """A folder of the features of what each method made, so that no image is made twice.

    There is one file for each case, and in it features are told apart by weights, as scores are: another run
    finds those that it can use again.

    Attributes:
        path: of the folder.
        scales: at which features are kept.
    """

    path: Path
    scales: frozenset[float]
    choice: FeatureChoice = SHIPPED_FEATURES
    device: str = "cpu"

    def load(self) -> FeatureExtractor:
        """The extractor, loaded once in a process.

        Raises:
            WeightsError, HistoscaleError: as `load_extractor` does.
        """
        return _load(self.choice.extractor, self.choice.inception_weights, self.device)

    def covers(self, job: ScoringJob) -> bool:
        """Whether a job is at one of the scales."""
        return job.case.scale in self.scales

    def read(self, job: ScoringJob) -> dict[str, Features]:
        """The features that are there, by method; the ground truth's under `ORIGINAL`."""
        stored = _stored(self._file(job))
        return {name: stored[key] for name, key in _keys(job).items() if key in stored}

    def missing(self, job: ScoringJob) -> set[str]:
        """The methods, bicubic included, whose features are not there and should be."""
        return _keys(job).keys() - self.read(job).keys() - {ORIGINAL} if self.covers(job) else set()

    def watch(self, job: ScoringJob, truth: RgbImage, made: Iterator[Upscaled]) -> Iterator[Upscaled]:
        """Pass on what a job makes, and keep its features once all of it is made.

        An image that its method could not make, or only by another scale and bicubic, has no features: an
        array without columns stands for them.
        """
        if not self.covers(job):
            yield from made
            return
        extractor, keys = self.load(), _keys(job)
        resized = {method.name for method in job.methods if method.through}
        found: dict[str, Features] = {keys[ORIGINAL]: patch_features(truth, extractor, self.choice.patch_px)}
        for one in made:
            if one.bytes is None or one.method in resized:
                found[keys[one.method]] = np.empty((0, 0))
            else:
                found[keys[one.method]] = patch_features(one.bytes, extractor, self.choice.patch_px)
            yield one
        self._add(job, found)

    def _add(self, job: ScoringJob, found: dict[str, Features]) -> None:
        path = self._file(job)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **cast(dict[str, Any], _stored(path) | found))

    def _file(self, job: ScoringJob) -> Path:
        """Where the features of a case are: other ones, or of other patches, are elsewhere."""
        case = job.case
        name = f"{quote(case.record.id, safe='')}-{case.degradation}-x{case.scale:g}.npz"
        return (
            self.path
            / f"{self.choice.extractor}-{self.choice.patch_px}"
            / quote(case.record.set, safe="")
            / name
        )


def _keys(job: ScoringJob) -> dict[str, str]:
    """The name of each array in a case's file: the method with the first digits of its weights' digest."""
    own = {method.name: f"{method.name}@{method.file.digest}" for method in job.methods}
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


ColumnKey: TypeAlias = tuple[str, str, float]
"""Data set, degradation and scale: what the distances of one column share."""


@dataclass(frozen=True)
class Distance:
    """One method on one data set at one scale; NaN where there are too few patches.

    Attributes:
        n: number of patches.
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


def measure(jobs: Sequence[ScoringJob], store: FeatureStore) -> Iterator[Distance]:
    """The distance of bicubic and of each method that makes the scale itself, column by column.

    Args:
        jobs: at scales that ``store`` covers, scored with its `FeatureStore.watch`.
    """
    for column, members in _by_column(jobs).items():
        extractor = store.load()
        truth, made = FeatureMoments(extractor.dimension), dict[str, FeatureMoments]()
        for job in members:
            kept = store.read(job)
            truth.add(kept.pop(ORIGINAL))
            for model, found in kept.items():
                if found.shape[1]:
                    made.setdefault(model, FeatureMoments(extractor.dimension)).add(found)
        digests = {method.name: method.file.digest for method in members[0].methods}
        for model, moments in made.items():
            features = (moments.n, extractor.name, store.choice.patch_px)
            yield Distance(*column, model, _distance(truth, moments), *features, digests.get(model, ""))


def merged(
    earlier: Iterable[Distance], measured: Iterable[Distance], digests: Mapping[str, Collection[str]]
) -> list[Distance]:
    """What was measured, after what an earlier run measured by the same features and this one did not.

    Args:
        digests: of each method's weights now; what an earlier run measured of others is dropped.
    """
    found = list(measured)
    again = {(one.dataset, one.degradation, one.scale, one.model) for one in found}
    features = {(one.extractor, one.patch_px) for one in found}
    kept = [
        one
        for one in earlier
        if (not found or (one.extractor, one.patch_px) in features)
        and (one.dataset, one.degradation, one.scale, one.model) not in again
        and (one.model not in digests or one.weights in digests[one.model])
    ]
    return [*kept, *found]


def _by_column(jobs: Iterable[ScoringJob]) -> dict[ColumnKey, list[ScoringJob]]:
    """Jobs by data set, degradation and scale, in order."""
    found: dict[ColumnKey, list[ScoringJob]] = {}
    for job in jobs:
        case = job.case
        found.setdefault((case.record.set, case.degradation, case.scale), []).append(job)
    return found


def mean_distances(distances: Iterable[Distance]) -> dict[ColumnKey, dict[str, float]]:
    """The distance of each row by column, the mean over its seeds; no row for which there is none."""
    found: dict[ColumnKey, dict[str, list[float]]] = {}
    for one in distances:
        rows = found.setdefault((one.dataset, one.degradation, one.scale), {})
        if not math.isnan(one.distance):
            rows.setdefault(label_of(one.model), []).append(one.distance)
    return {
        column: {label: statistics.fmean(seeds) for label, seeds in rows.items()}
        for column, rows in found.items()
    }


def _distance(truth: FeatureMoments, made: FeatureMoments) -> float:
    """NaN for too few patches: the rest of a comparison stands without them."""
    try:
        return frechet_distance(truth, made)
    except InputError:
        return math.nan


def read_distances(path: Path) -> list[Distance]:
    """The distances that a comparison wrote; none where there is no such file.

    Raises:
        DataError: if it is not such a table.
    """
    return read_rows(path, Distance) if path.exists() else []
