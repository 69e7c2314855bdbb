"""Features of what each method made, kept beside the scores: a picture is made once, for both.

A file a case. Features are told by weights, as scores are: another run finds what it can use again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from histoscale.models.extractors.base import FeatureExtractor
from histoscale.workflows.cases import Enlarged, Picture
from histoscale.workflows.frechet.distance import PATCH_PX, patch_features
from histoscale.workflows.frechet.extractors import ExtractorName, load_extractor
from histoscale.workflows.result_files import whole, writing
from histoscale.workflows.scores import BICUBIC
from histoscale.workflows.scoring import Job

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
        with writing(f"The features in {self.path}"), whole(path) as partial, partial.open("wb") as file:
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
