"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

No mean over images, so none of its figures is in the scores: the images are enlarged once more, and of each
method no more is kept than mean and covariance of its features. A line a method and scale goes to a CSV file.
"""

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from histoscale import weights
from histoscale.data.folders import centre_crop, read_rgb
from histoscale.errors import DataError, InputError
from histoscale.inference import Precision
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.models.base import SuperResolver
from histoscale.models.extractors.base import FeatureExtractor
from histoscale.workflows.cases import Case, enlarge, make_pair
from histoscale.workflows.compare.lineup import label_of
from histoscale.workflows.frechet.distance import PATCH_PX, patch_features
from histoscale.workflows.scoring import Job

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every case with the number done and their total."""
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


def measure(
    jobs: Sequence[Job],
    extractor: FeatureExtractor,
    patch_px: int = PATCH_PX,
    precision: Precision = "fp32",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Iterator[Distance]:
    """The distance of bicubic and of each model that makes the scale itself, setting by setting.

    Raises:
        DataError: if an image cannot be read.
        InputError: if an image is too small.
        WeightsError: if weights are missing or damaged.
    """
    done = 0
    for setting, members in group(jobs).items():
        models = {entry.model: weights.load(entry.file.source, device) for entry in members[0].entries}
        truth, made = FeatureMoments(extractor.dimension), dict[str, FeatureMoments]()
        for job in members:
            for model, features in _features(job.case, models, extractor, patch_px, precision, device):
                moments = truth if model is None else made.setdefault(model, FeatureMoments(truth.mean.size))
                moments.add(features)
            done += 1
            if progress is not None:
                progress(done, len(jobs))
        for model, moments in made.items():
            distance = _distance(truth, moments)
            yield Distance(*setting, model, distance, moments.n, extractor.name, patch_px)


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


def _features(
    case: Case,
    models: Mapping[str, SuperResolver],
    extractor: FeatureExtractor,
    patch_px: int,
    precision: Precision,
    device: str,
) -> Iterator[tuple[str | None, Any]]:
    """Those of the original, under None, and of each enlargement in bytes."""
    image = read_rgb(case.record.path)
    if case.crop_px is not None:
        image = centre_crop(image, case.crop_px)
    lr, truth = make_pair(image, case.scale, case.degradation)
    yield None, patch_features(truth, extractor, patch_px)
    for one in enlarge(lr, (truth.shape[0], truth.shape[1]), models, precision, device):
        if one.bytes is not None:
            yield one.model, patch_features(one.bytes, extractor, patch_px)


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
