"""Figures by row, column, seed and image: means, deviations, paired tests, Holm's p, recovered shares.

A row is a method or a setting; a column is a scale, a measure, or both. The seeds of a row are trainings of
the same method. Tests compare images, and the figure of an image is its mean over the seeds.
"""

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from histoscale.metrics.paired import PairedTest, holm, paired_t_test

Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)
Key = TypeVar("Key", bound=Hashable)
Figures: TypeAlias = dict[str, float]
"""Figure of each image, by the image's name."""


@dataclass(frozen=True)
class Grid(Generic[Row, Column]):
    """All figures of an experiment.

    Attributes:
        cells: the figures of each seed, by row and column; there is no cell if nothing was measured.
    """

    cells: Mapping[tuple[Row, Column], Mapping[Hashable, Figures]]

    @classmethod
    def of(cls, found: Iterable[tuple[Row, Column, Hashable, str, float]]) -> "Grid[Row, Column]":
        """Make a grid of (row, column, seed, image, figure); a later figure replaces an earlier one."""
        cells: dict[tuple[Row, Column], dict[Hashable, Figures]] = {}
        for row, column, seed, image, figure in found:
            cells.setdefault((row, column), {}).setdefault(seed, {})[image] = figure
        return cls(cells)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in the order of their first figures."""
        return tuple(dict.fromkeys(row for row, _ in self.cells))

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the order of their first figures."""
        return tuple(dict.fromkeys(column for _, column in self.cells))

    def seeds(self, row: Row) -> list[Hashable]:
        """The seeds of a row, in any column."""
        return list(
            dict.fromkeys(seed for (own, _), cell in self.cells.items() if own == row for seed in cell)
        )

    def by_seed(self, row: Row, column: Column) -> Mapping[Hashable, Figures]:
        """The figures of each seed; empty if nothing was measured."""
        return self.cells.get((row, column), {})

    def by_image(self, row: Row, column: Column) -> Figures:
        """The figure of each image, the mean over the seeds; images whose mean is NaN are left out."""
        figures: dict[str, list[float]] = {}
        for cell in self.by_seed(row, column).values():
            for image, figure in cell.items():
                figures.setdefault(image, []).append(figure)
        means = {image: statistics.fmean(of_seeds) for image, of_seeds in figures.items()}
        return {image: mean for image, mean in means.items() if not math.isnan(mean)}

    def mean(self, row: Row, column: Column) -> float:
        """Mean over the images; NaN if there are none."""
        return mean(self.by_image(row, column).values())

    def deviation(self, row: Row, column: Column) -> float:
        """Standard deviation over the images."""
        return deviation(self.by_image(row, column).values())

    def seed_means(self, row: Row, column: Column) -> list[float]:
        """The mean over the images of each seed."""
        return [mean(cell.values()) for cell in self.by_seed(row, column).values()]

    def spread(self, row: Row, column: Column) -> float:
        """Standard deviation over the seeds of their means over the images; NaN for a single seed."""
        return deviation(self.seed_means(row, column))

    def test(self, first: Row, second: Row, column: Column) -> PairedTest | None:
        """Paired test of ``first - second``, see `paired_test`."""
        return paired_test(self.by_image(first, column), self.by_image(second, column))


class MeanSd(NamedTuple):
    """Mean and standard deviation of some figures; NaN if there are too few."""

    mean: float
    sd: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "MeanSd":
        """Summarise figures."""
        return cls(mean(figures), deviation(figures))


class CorrectedTest(NamedTuple):
    """A test, and its p-value corrected for all tests of its table."""

    test: PairedTest
    holm: float


def paired_test(first: Figures, second: Figures, *, smaller_is_better: bool = False) -> PairedTest | None:
    """Test ``first - second`` on the images with a finite figure in both; None for fewer than two images.

    Args:
        smaller_is_better: test ``second - first``, so that a positive difference means that ``first`` is
            better.
    """
    sign = -1 if smaller_is_better else 1
    pairs = [(sign * first[image], sign * second[image]) for image in first if image in second]
    finite = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return paired_t_test([a for a, _ in finite], [b for _, b in finite]) if len(finite) > 1 else None


def corrected(tests: Mapping[Key, PairedTest]) -> dict[Key, CorrectedTest]:
    """Correct the p-values of tests together, by Holm."""
    p_values = holm_by_key({key: test.p for key, test in tests.items()})
    return {key: CorrectedTest(test, p_values[key]) for key, test in tests.items()}


def holm_by_key(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Correct p-values together, by Holm."""
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def mean(figures: Iterable[float]) -> float:
    """Compute the mean; NaN if there are no figures."""
    known = list(figures)
    return statistics.fmean(known) if known else math.nan


def deviation(figures: Iterable[float]) -> float:
    """Compute the standard deviation of a sample; NaN for fewer than two figures or if one is not finite."""
    known: Sequence[float] = list(figures)
    usable = len(known) > 1 and all(map(math.isfinite, known))
    return statistics.stdev(known) if usable else math.nan


def recovered(own: float, original: float, low: float, *, smaller_is_better: bool = False) -> float:
    """Compute (own - low) / (original - low); NaN if ``low`` is not worse than the original.

    See `histoscale.metrics.recovery` for shares with an interval from resampled images.
    """
    lost = original - low
    is_lost = lost < 0 if smaller_is_better else lost > 0
    return (own - low) / lost if is_lost else math.nan
