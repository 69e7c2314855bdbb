"""Tables as data: a row a method, a column a scale and a measure, and in each cell all that may be printed.

Two protocols stand in tables of their own: the paper's, and the one its equations describe.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from histoscale.metrics.paired import PairedTest, holm
from histoscale.workflows.compare.grid import Grid, Measure, deviation, tested
from histoscale.workflows.compare.presets import Preset


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
