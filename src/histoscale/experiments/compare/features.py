"""The features of what each method made, kept in files so that no image is upscaled twice.

They are collected while the images are scored; the Frechet distances of Table 3 are computed from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from histoscale.experiments.frechet_distance import PATCH_PX, ExtractorName, load_extractor, patch_features
from histoscale.experiments.images import RgbImage, Upscaled
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.scoring import ScoringJob
from histoscale.files import atomic_write
from histoscale.models.extractors.base import FeatureExtractor

Features = Float[np.ndarray, "n d"]
TRUTH = "original"
"""Name of the features of the ground truth."""


class FeatureChoice(NamedTuple):
    """The features that a Frechet distance compares.

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
    """A folder with one file of features for each case.

    Each array is named by its method and the weights, so that another run finds what it can use again.

    Attributes:
        path: the folder.
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
        """The stored features of a job by method; those of the ground truth under `TRUTH`."""
        stored = _stored(self._file(job))
        return {name: stored[key] for name, key in _keys(job).items() if key in stored}

    def missing(self, job: ScoringJob) -> set[str]:
        """The methods, bicubic included, whose features are not stored yet."""
        return _keys(job).keys() - self.read(job).keys() - {TRUTH} if self.covers(job) else set()

    def watch(self, job: ScoringJob, truth: RgbImage, made: Iterator[Upscaled]) -> Iterator[Upscaled]:
        """Pass on the images of a job, and store their features after the last.

        If a method cannot make the image, or only makes another scale that bicubic resizes, an array without
        columns is stored: there are no features, and none are missing.
        """
        if not self.covers(job):
            yield from made
            return
        extractor, keys = self.load(), _keys(job)
        resized = {method.name for method in job.methods if method.through}
        found: dict[str, Features] = {keys[TRUTH]: patch_features(truth, extractor, self.choice.patch_px)}
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
        """The file of a case; each extractor and patch size has its own folder."""
        case = job.case
        name = f"{quote(case.record.id, safe='')}-{case.degradation}-x{case.scale:g}.npz"
        return (
            self.path
            / f"{self.choice.extractor}-{self.choice.patch_px}"
            / quote(case.record.set, safe="")
            / name
        )


def _keys(job: ScoringJob) -> dict[str, str]:
    """The name of each method's array in a file: the method and the first digits of its weights' sha256."""
    own = {method.name: f"{method.name}@{method.file.digest}" for method in job.methods}
    return {TRUTH: f"@{TRUTH}", BICUBIC: f"@{BICUBIC}", **own}


def _stored(path: Path) -> dict[str, Features]:
    """All arrays of a file; none if it is missing or damaged, so that they are made again."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, BadZipFile):
        return {}


@lru_cache(maxsize=1)
def _load(name: ExtractorName, inception_weights: Path | None, device: str) -> FeatureExtractor:
    return load_extractor(name, inception_weights, device)
