"""The scores of one group of images by row, scale and measure: what every table, test and claim reads."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from histoscale.metrics.paired import PairedTest, paired_t_test
from histoscale.workflows.compare.lineup import label_of
from histoscale.workflows.scores import Score, groups_of

Figures: TypeAlias = dict[str, float]
"""Image to its figure: the mean over the seeds of a row."""


class Measure(NamedTuple):
    """A field of `Score` as tables print it."""

    field: str
    title: str
    places: int
    unit: str = ""


@dataclass(frozen=True)
class Grid:
    """One group of images made small by one degradation.

    Attributes:
        group: a data set, or the images of one preparation in it.
        is_whole_set: whether it is a data set.
        labels: the rows, in the order of the scores.
        cells: the scores of a row at a scale; none where it was not scored there.
    """

    group: str
    is_whole_set: bool
    degradation: str
    labels: tuple[str, ...]
    cells: dict[tuple[str, float], list[Score]]

    @property
    def n(self) -> int:
        """How many images there are."""
        return len({score.image for scores in self.cells.values() for score in scores})

    @property
    def scales(self) -> frozenset[float]:
        """Where anything was scored."""
        return frozenset(scale for _, scale in self.cells)

    def figures(self, label: str, scale: float, measure: Measure) -> Figures:
        """A row's figure for each image; empty where it cannot make the scale."""
        by_image: dict[str, list[float]] = {}
        for score in self.cells.get((label, scale), []):
            by_image.setdefault(score.image, []).append(getattr(score, measure.field))
        means = {image: statistics.fmean(figures) for image, figures in by_image.items()}
        return {image: mean for image, mean in means.items() if not math.isnan(mean)}

    def seeds(self, label: str) -> int:
        """How many trainings the row is a mean of."""
        return len({s.model for (name, _), scores in self.cells.items() if name == label for s in scores})

    def spread(self, label: str, scale: float, measure: Measure) -> float:
        """Standard deviation over seeds of their means over the images; NaN for a single one."""
        by_seed: dict[str, list[float]] = {}
        for score in self.cells.get((label, scale), []):
            by_seed.setdefault(score.model, []).append(getattr(score, measure.field))
        return deviation([statistics.fmean(figures) for figures in by_seed.values()])

    def through(self, label: str, scale: float) -> int:
        """The scale that bicubic took to this one; 0 where the row makes it itself."""
        return max((score.through for score in self.cells.get((label, scale), [])), default=0)


def grids_of(scores: Sequence[Score]) -> list[Grid]:
    """A `Grid` for each group and degradation."""
    sets = {score.dataset for score in scores}
    grids = []
    for group, members in groups_of(scores).items():
        for degradation in sorted({score.degradation for score in members}):
            cells: dict[tuple[str, float], list[Score]] = {}
            for score in members:
                if score.degradation == degradation:
                    cells.setdefault((label_of(score.model), score.scale), []).append(score)
            labels = tuple(dict.fromkeys(label for label, _ in cells))
            grids.append(Grid(group, group in sets, degradation, labels, cells))
    return grids


def deviation(figures: Sequence[float]) -> float:
    """Standard deviation of a sample; NaN for fewer than two or where one is not finite."""
    usable = len(figures) > 1 and all(map(math.isfinite, figures))
    return statistics.stdev(figures) if usable else math.nan


def tested(first: Figures, second: Figures) -> PairedTest | None:
    """Paired test of ``first - second`` on the images for which both are finite; None below two."""
    pairs = [(first[image], second[image]) for image in first if image in second]
    finite = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return paired_t_test([a for a, _ in finite], [b for _, b in finite]) if len(finite) > 1 else None
