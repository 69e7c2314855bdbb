"""Tables as data: a row a method, a column a scale and a measure, and in each cell all that may be printed.

Two protocols stand in tables of their own: the paper's, and the one its equations describe.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from histoscale.experiments.compare.paper_tables import Preset
from histoscale.experiments.methods import label_of
from histoscale.experiments.scores import Score, groups_of
from histoscale.metrics.paired import PairedTest, holm, paired_t_test

# The scores of one group of images by row, scale and measure: what every table, test and claim reads.


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


class Protocol(NamedTuple):
    """The measures of a table, and what they are in words."""

    name: str
    title: str
    measures: tuple[Measure, Measure]


PROTOCOLS = (
    Protocol(
        "paper",
        "the paper's protocol: PSNR of RGB floats, border shaved; SSIM in 7 x 7 windows",
        (Measure("psnr_shaved", "PSNR", 2, "dB"), Measure("ssim", "SSIM", 4)),
    ),
    Protocol(
        "whole",
        "the equations' protocol: PSNR of whole images in bytes; SSIM in Gaussian windows",
        (Measure("psnr_whole", "PSNR", 2, "dB"), Measure("ssim_gaussian", "SSIM", 4)),
    ),
)


class Column(NamedTuple):
    """A scale and a measure."""

    scale: float
    measure: Measure


class Significance(NamedTuple):
    """The reference against a row, image by image; ``holm`` is p corrected for all tests of the table."""

    test: PairedTest
    holm: float


@dataclass(frozen=True)
class Cell:
    """A row's figure in a column; NaN where it cannot make the scale.

    Attributes:
        mean, sd: over images, each of which is the mean over the seeds.
        spread: standard deviation over seeds of the mean; NaN for a single one.
        through: the scale that bicubic took to this one; 0 where the row makes it itself.
        is_best: whether no other row prints a better figure in the column.
        against: None for the reference itself and where no test is possible.
    """

    mean: float
    sd: float
    spread: float
    through: int
    is_best: bool = False
    against: Significance | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to print but a dash."""
        return math.isnan(self.mean)


@dataclass(frozen=True)
class Table:
    """One preset on one group of images by one protocol.

    Attributes:
        n: images.
        reference: the row that the others are tested against.
        seeds: of each row.
        left_out: rows that do not make every scale, where the preset wants that.
        undertrained: rows of weights that are known to have seen too little.
    """

    preset: Preset
    group: str
    n: int
    degradation: str
    protocol: Protocol
    reference: str
    columns: tuple[Column, ...]
    rows: dict[str, tuple[Cell, ...]]
    seeds: dict[str, int]
    left_out: tuple[str, ...]
    undertrained: tuple[str, ...] = ()


def tables_of(
    grids: Sequence[Grid], presets: Sequence[Preset], reference: str, undertrained: Sequence[str] = ()
) -> list[Table]:
    """Every preset on every group and degradation that was scored at one of its scales."""
    return [
        make_table(grid, preset, protocol, reference, undertrained)
        for preset in presets
        for grid in grids
        if grid.scales & set(preset.scales)
        for protocol in PROTOCOLS
    ]


def make_table(
    grid: Grid, preset: Preset, protocol: Protocol, reference: str, undertrained: Sequence[str] = ()
) -> Table:
    """One table, with its best cells marked and its tests corrected together."""
    columns = tuple(Column(scale, measure) for scale in preset.scales for measure in protocol.measures)
    left_out = _left_out(grid, preset, columns)
    labels = [label for label in grid.labels if label not in left_out]
    rows = {label: [_cell(grid, label, reference, column) for column in columns] for label in labels}
    _correct_together(rows)
    _mark_best(rows, columns)
    return Table(
        preset=preset,
        group=grid.group,
        n=grid.n,
        degradation=grid.degradation,
        protocol=protocol,
        reference=reference,
        columns=columns,
        rows={label: tuple(cells) for label, cells in rows.items()},
        seeds={label: grid.seeds(label) for label in labels},
        left_out=left_out,
        undertrained=tuple(label for label in labels if label in undertrained),
    )


def _left_out(grid: Grid, preset: Preset, columns: Sequence[Column]) -> tuple[str, ...]:
    if not preset.any_scale_only:
        return ()

    def makes(label: str, column: Column) -> bool:
        return bool(grid.figures(label, *column)) and not grid.through(label, column.scale)

    there = [column for column in columns if column.scale in grid.scales]
    return tuple(label for label in grid.labels if not all(makes(label, column) for column in there))


def _cell(grid: Grid, label: str, reference: str, column: Column) -> Cell:
    figures = grid.figures(label, *column)
    if not figures:
        return Cell(math.nan, math.nan, math.nan, 0)
    test = None if label == reference else tested(grid.figures(reference, *column), figures)
    return Cell(
        mean=statistics.fmean(figures.values()),
        sd=deviation(list(figures.values())),
        spread=grid.spread(label, *column),
        through=grid.through(label, column.scale),
        against=Significance(test, math.nan) if test else None,
    )


def _correct_together(rows: dict[str, list[Cell]]) -> None:
    """Fill in Holm's p, for all tests of a table at once."""
    places = [(label, i) for label, cells in rows.items() for i, cell in enumerate(cells) if cell.against]
    tests = [cell.against.test for cells in rows.values() for cell in cells if cell.against]
    for (label, i), test, corrected in zip(places, tests, holm([test.p for test in tests]), strict=True):
        rows[label][i] = replace(rows[label][i], against=Significance(test, corrected))


def _mark_best(rows: dict[str, list[Cell]], columns: Sequence[Column]) -> None:
    """Mark what prints the highest figure of its column; ties in print share it."""
    for i, column in enumerate(columns):
        printed = {
            label: round(cells[i].mean, column.measure.places)
            for label, cells in rows.items()
            if not cells[i].is_empty
        }
        for label, figure in printed.items():
            is_best = len(printed) > 1 and figure == max(printed.values())
            rows[label][i] = replace(rows[label][i], is_best=is_best)
