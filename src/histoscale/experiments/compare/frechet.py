"""Table 3: the Frechet distance between what each method makes of a data set and its originals.

It is not a mean over images, so it does not follow from the scores. It is computed from the features that a
`FeatureStore` kept while the images were scored. A CSV has one line for each method and scale.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import InputError
from histoscale.experiments.compare.features import TRUTH, FeatureStore
from histoscale.experiments.methods import label_of
from histoscale.experiments.results import read_rows
from histoscale.experiments.scoring import ScoringJob
from histoscale.experiments.statistics import Grid
from histoscale.metrics.frechet import FeatureMoments, frechet_distance


class DistanceColumn(NamedTuple):
    """What the distances of one column of a table have in common."""

    dataset: str
    degradation: str
    scale: float


@dataclass(frozen=True)
class Distance:
    """One method on one data set at one scale; NaN if there are too few patches.

    Attributes:
        n: number of patches.
        extractor: name of the features.
        patch_px: side of a patch.
        weights: as in `Score`; empty for bicubic, and in tables of earlier versions.
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

    @property
    def column(self) -> DistanceColumn:
        """The column that the distance belongs to."""
        return DistanceColumn(self.dataset, self.degradation, self.scale)


def measure(jobs: Sequence[ScoringJob], store: FeatureStore) -> Iterator[Distance]:
    """Measure bicubic and each method that makes the scale itself, column by column.

    Args:
        jobs: at scales that ``store`` covers, scored with its `FeatureStore.watch`.
    """
    columns: dict[DistanceColumn, list[ScoringJob]] = {}
    for job in jobs:
        column = DistanceColumn(job.case.record.set, job.case.degradation, job.case.scale)
        columns.setdefault(column, []).append(job)
    for column, members in columns.items():
        extractor = store.load()
        truth, made = FeatureMoments(extractor.dimension), dict[str, FeatureMoments]()
        for job in members:
            kept = store.read(job)
            truth.add(kept.pop(TRUTH))
            for model, found in kept.items():
                if found.shape[1]:  # else the method does not make the scale
                    made.setdefault(model, FeatureMoments(extractor.dimension)).add(found)
        digests = {method.name: method.file.digest for method in members[0].methods}
        for model, moments in made.items():
            features = (moments.n, extractor.name, store.choice.patch_px)
            yield Distance(*column, model, _distance(truth, moments), *features, digests.get(model, ""))


def _distance(truth: FeatureMoments, made: FeatureMoments) -> float:
    """NaN for too few patches, because the rest of a comparison is valid without them."""
    try:
        return frechet_distance(truth, made)
    except InputError:
        return math.nan


def merged(
    earlier: Iterable[Distance], measured: Iterable[Distance], digests: Mapping[str, Collection[str]]
) -> list[Distance]:
    """Combine what was measured with what an earlier run measured of other methods or scales.

    Distances of other features than those of this run are dropped, because they do not compare.

    Args:
        digests: of each method's present weights; earlier distances of other weights are dropped.
    """
    found = list(measured)
    again = {(one.column, one.model) for one in found}
    features = {(one.extractor, one.patch_px) for one in found}
    kept = [
        one
        for one in earlier
        if (not found or (one.extractor, one.patch_px) in features)
        and (one.column, one.model) not in again
        and (one.model not in digests or one.weights in digests[one.model])
    ]
    return [*kept, *found]


def mean_distances(distances: Sequence[Distance]) -> dict[DistanceColumn, dict[str, float]]:
    """Average the distances of each row over its seeds, by column; a row without any is left out."""
    known = (one for one in distances if not math.isnan(one.distance))
    grid = Grid.of((label_of(one.model), one.column, one.model, "", one.distance) for one in known)
    return {
        column: {label: grid.mean(label, column) for label in grid.rows if grid.by_seed(label, column)}
        for column in dict.fromkeys(one.column for one in distances)
    }


def read_distances(path: Path) -> list[Distance]:
    """Read the distances that a comparison wrote; none if there is no such file.

    Raises:
        DataError: if it is not such a table.
    """
    return read_rows(path, Distance) if path.exists() else []
