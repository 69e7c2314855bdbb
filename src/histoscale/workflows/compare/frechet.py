"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

No mean over images, so none of its figures is in the scores: it is made of the features that `FeatureStore`
kept while they were found. A line a method and scale goes to a CSV file.
"""

import csv
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from histoscale.errors import DataError, InputError
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.workflows.compare.features import ORIGINAL, FeatureStore
from histoscale.workflows.compare.lineup import label_of
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
    """

    dataset: str
    degradation: str
    scale: float
    model: str
    distance: float
    n: int
    extractor: str
    patch_px: int


def measure(jobs: Sequence[Job], store: FeatureStore) -> Iterator[Distance]:
    """The distance of bicubic and of each model that makes the scale itself, setting by setting.

    Args:
        jobs: at scales that ``store`` wants, scored with its `FeatureStore.watch`.
    """
    extractor = store.load()
    for setting, members in group(jobs).items():
        truth, made = FeatureMoments(extractor.dimension), dict[str, FeatureMoments]()
        for job in members:
            features = store.read(job)
            truth.add(features.pop(ORIGINAL))
            for model, found in features.items():
                if found.shape[1]:
                    made.setdefault(model, FeatureMoments(extractor.dimension)).add(found)
        for model, moments in made.items():
            distance = _distance(truth, moments)
            yield Distance(*setting, model, distance, moments.n, extractor.name, store.patch_px)


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


def write_distances(distances: Iterable[Distance], path: Path) -> None:
    """Write one line a method, data set, degradation and scale; floats read back exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(Distance))
        table.writerows([str(value) for value in asdict(one).values()] for one in distances)


def read_distances(path: Path) -> list[Distance]:
    """Read what `write_distances` wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_read_row(row) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"Wanted the Frechet distances of a comparison, got something else in {path}.") from (
            error
        )


def _read_row(row: Mapping[str, str]) -> Distance:
    types: Any = {field.name: field.type for field in fields(Distance)}
    return Distance(**{name: convert(row[name]) for name, convert in types.items()})
