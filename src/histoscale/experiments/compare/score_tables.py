"""Tables as data: a row for each method, a column for each scale and measure.

Each of two protocols has its own tables: that of the paper's code, and that of the paper's equations.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

from histoscale.experiments.compare.paper_tables import Preset
from histoscale.experiments.methods import label_of
from histoscale.experiments.scoring import MEASURES, Score, groups_of
from histoscale.experiments.statistics import (
    CorrectedTest,
    Figures,
    Grid,
    corrected,
    deviation,
    mean,
    paired_test,
)


class ScoreMeasure(NamedTuple):
    """A field of `Score`, and how tables print it."""

    field: str
    title: str
    places: int
    unit: str = ""


class Column(NamedTuple):
    """A scale and a measure."""

    scale: float
    measure: ScoreMeasure


CellKey: TypeAlias = tuple[str, Column]
"""Label and column."""


@dataclass(frozen=True)
class ScoreGrid:
    """The scores of one group of images, downsampled by one degradation.

    Attributes:
        group: a data set, or the images of one preparation in it.
        is_whole_set: whether it is a data set.
        scores: of every method at every scale.
    """

    group: str
    is_whole_set: bool
    degradation: str
    scores: tuple[Score, ...]

    @cached_property
    def grid(self) -> Grid[str, tuple[float, str]]:
        """All figures: a row for each label, a column for each scale and measure, methods as seeds."""
        return Grid.of(
            (label_of(s.model), (s.scale, field), s.model, s.image, getattr(s, field))
            for s in self.scores
            for field in MEASURES
        )

    @cached_property
    def resized(self) -> dict[tuple[str, float], int]:
        """The scale that a fixed-scale model made before bicubic resized it, by label and final scale."""
        return {(label_of(score.model), score.scale): score.through for score in self.scores if score.through}

    @property
    def labels(self) -> tuple[str, ...]:
        """The rows, in the order of the scores."""
        return self.grid.rows

    @property
    def n(self) -> int:
        """Number of images."""
        return len({score.image for score in self.scores})

    @property
    def scales(self) -> frozenset[float]:
        """All scales of the scores."""
        return frozenset(score.scale for score in self.scores)

    def figures(self, label: str, column: Column) -> Figures:
        """A row's figure of each image, the mean over its seeds; empty if it cannot make the scale."""
        return self.grid.by_image(label, (column.scale, column.measure.field))

    def spread(self, label: str, column: Column) -> float:
        """Standard deviation over seeds of their means over the images; NaN for a single seed."""
        return self.grid.spread(label, (column.scale, column.measure.field))

    def through(self, label: str, scale: float) -> int:
        """The scale that bicubic resized to this one; 0 if the row makes this one itself."""
        return self.resized.get((label, scale), 0)


def grids_of(scores: Sequence[Score]) -> list[ScoreGrid]:
    """Make a `ScoreGrid` for each group and degradation."""
    sets = {score.dataset for score in scores}
    return [
        ScoreGrid(group, group in sets, kind, tuple(s for s in members if s.degradation == kind))
        for group, members in groups_of(scores).items()
        for kind in sorted({score.degradation for score in members})
    ]


class Protocol(NamedTuple):
    """The measures of a table, and their description."""

    name: str
    title: str
    measures: tuple[ScoreMeasure, ScoreMeasure]


PROTOCOLS = (
    Protocol(
        "paper",
        "the paper's protocol: PSNR of RGB floats, border shaved; SSIM in 7 x 7 windows",
        (ScoreMeasure("psnr_shaved", "PSNR", 2, "dB"), ScoreMeasure("ssim", "SSIM", 4)),
    ),
    Protocol(
        "whole",
        "the equations' protocol: PSNR of whole images in bytes; SSIM in Gaussian windows",
        (ScoreMeasure("psnr_whole", "PSNR", 2, "dB"), ScoreMeasure("ssim_gaussian", "SSIM", 4)),
    ),
)


@dataclass(frozen=True)
class ScoreCell:
    """A row's figure in a column; NaN if it cannot make the scale.

    Attributes:
        mean, sd: over images; the figure of an image is the mean over the seeds.
        spread: standard deviation of the mean over the seeds; NaN for a single seed.
        through: the scale that bicubic resized to this one; 0 if the row makes this one itself.
        is_best: whether no other row prints a better figure in the column.
        against: the test of the reference against this row, image by image; None for the reference itself
            and if no test is possible.
    """

    mean: float
    sd: float = math.nan
    spread: float = math.nan
    through: int = 0
    is_best: bool = False
    against: CorrectedTest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to print but a dash."""
        return math.isnan(self.mean)


@dataclass(frozen=True)
class ScoreTable:
    """One preset on one group of images by one protocol.

    Attributes:
        n: number of images.
        reference: the row that the others are tested against.
        seeds: number of seeds of each row.
        left_out: rows that the preset leaves out because they do not make every scale.
        undertrained: rows whose weights are known to have had too few training steps.
    """

    preset: Preset
    group: str
    n: int
    degradation: str
    protocol: Protocol
    reference: str
    columns: tuple[Column, ...]
    rows: dict[str, tuple[ScoreCell, ...]]
    seeds: dict[str, int]
    left_out: tuple[str, ...]
    undertrained: tuple[str, ...] = ()


def tables_of(
    grids: Sequence[ScoreGrid], presets: Sequence[Preset], reference: str, undertrained: Sequence[str] = ()
) -> list[ScoreTable]:
    """Make the tables of every preset, for each group and degradation with scores at one of its scales."""
    return [
        make_table(grid, preset, protocol, reference, undertrained)
        for preset in presets
        for grid in grids
        if grid.scales & set(preset.scales)
        for protocol in PROTOCOLS
    ]


def make_table(
    grid: ScoreGrid, preset: Preset, protocol: Protocol, reference: str, undertrained: Sequence[str] = ()
) -> ScoreTable:
    """Make one table, with its best cells marked and its tests corrected together."""
    columns = tuple(Column(scale, measure) for scale in preset.scales for measure in protocol.measures)
    left_out = _left_out(grid, preset, columns)
    labels = [label for label in grid.labels if label not in left_out]
    cells = {(label, column): _cell(grid, label, column) for column in columns for label in labels}
    best = {key for column in columns for key in _best(cells, column)}
    tests = _tests(grid, labels, columns, reference)
    return ScoreTable(
        preset=preset,
        group=grid.group,
        n=grid.n,
        degradation=grid.degradation,
        protocol=protocol,
        reference=reference,
        columns=columns,
        rows={
            label: tuple(
                replace(
                    cells[label, column], is_best=(label, column) in best, against=tests.get((label, column))
                )
                for column in columns
            )
            for label in labels
        },
        seeds={label: len(grid.grid.seeds(label)) for label in labels},
        left_out=left_out,
        undertrained=tuple(label for label in labels if label in undertrained),
    )


def _left_out(grid: ScoreGrid, preset: Preset, columns: Sequence[Column]) -> tuple[str, ...]:
    """Find the rows that do not make every scale themselves, if the preset leaves these out."""
    if not preset.any_scale_only:
        return ()

    def makes(label: str, column: Column) -> bool:
        return bool(grid.figures(label, column)) and not grid.through(label, column.scale)

    there = [column for column in columns if column.scale in grid.scales]
    return tuple(label for label in grid.labels if not all(makes(label, column) for column in there))


def _cell(grid: ScoreGrid, label: str, column: Column) -> ScoreCell:
    figures = grid.figures(label, column)
    if not figures:
        return ScoreCell(math.nan)
    return ScoreCell(
        mean=mean(figures.values()),
        sd=deviation(figures.values()),
        spread=grid.spread(label, column),
        through=grid.through(label, column.scale),
    )


def _tests(
    grid: ScoreGrid, labels: Sequence[str], columns: Sequence[Column], reference: str
) -> dict[CellKey, CorrectedTest]:
    """Test the reference against every other row, with p corrected for all tests of the table."""
    tests = {
        (label, column): paired_test(grid.figures(reference, column), grid.figures(label, column))
        for label in labels
        for column in columns
        if label != reference
    }
    return corrected({key: test for key, test in tests.items() if test is not None})


def _best(cells: Mapping[CellKey, ScoreCell], column: Column) -> list[CellKey]:
    """Find the cells that print the highest figure of a column; a single figure is not the best."""
    printed = {
        key: round(cell.mean, column.measure.places)
        for key, cell in cells.items()
        if key[1] == column and not cell.is_empty
    }
    return [key for key, figure in printed.items() if figure == max(printed.values()) and len(printed) > 1]
