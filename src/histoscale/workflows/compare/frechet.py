"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

No mean over images, so none of its figures is in the scores: it is made of the features that `FeatureStore`
kept while they were found. A line a method and scale goes to a CSV file.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from histoscale.errors import InputError
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.workflows.compare.features import ORIGINAL, FeatureStore
from histoscale.workflows.compare.lineup import label_of
from histoscale.workflows.rows import read_rows
from histoscale.workflows.scoring import Job

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
