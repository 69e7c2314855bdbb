"""Means over seeds, spreads, tests and recovered shares, compared with figures computed by hand."""

import math
import statistics

import pytest
from scipy import stats

from histoscale.experiments.statistics import Grid, corrected, deviation, mean, paired_test, recovered
from histoscale.metrics.paired import holm

FIRST, SECOND, OTHER = [30.0, 31.5, 29.0], [31.0, 32.1, 30.4], [32.0, 31.1, 31.4]


@pytest.fixture
def grid() -> Grid[str, str]:
    """One seed of a below two seeds of b; c has figures of two images alone."""
    rows = [("a", 1, FIRST), ("b", 1, SECOND), ("b", 2, OTHER), ("c", 1, [1.0, math.nan, 3.0])]
    return Grid.of(
        (row, "x2", seed, image, figure)
        for row, seed, figures in rows
        for image, figure in zip("pqr", figures, strict=True)
    )


def test_each_image_has_the_mean_over_the_seeds(grid: Grid[str, str]) -> None:
    both = [statistics.fmean(pair) for pair in zip(SECOND, OTHER, strict=True)]
    assert list(grid.by_image("b", "x2").values()) == both
    assert grid.mean("b", "x2") == statistics.fmean(both)
    assert grid.deviation("b", "x2") == statistics.stdev(both)
    assert grid.spread("b", "x2") == statistics.stdev([statistics.fmean(SECOND), statistics.fmean(OTHER)])
    assert math.isnan(grid.spread("a", "x2"))
    assert (grid.rows, grid.columns, grid.seeds("b")) == (("a", "b", "c"), ("x2",), [1, 2])


def test_a_cell_that_was_not_measured_has_no_figure(grid: Grid[str, str]) -> None:
    assert grid.by_image("c", "x2") == {"p": 1.0, "r": 3.0}
    assert grid.by_image("a", "x3") == {}
    assert math.isnan(grid.mean("a", "x3"))
    assert math.isnan(grid.deviation("a", "x3"))


def test_images_are_paired_by_name(grid: Grid[str, str]) -> None:
    both = [statistics.fmean(pair) for pair in zip(SECOND, OTHER, strict=True)]
    test = grid.test("b", "a", "x2")
    assert test is not None
    assert test.p == pytest.approx(stats.ttest_rel(both, FIRST).pvalue)
    backwards = dict(reversed(grid.by_image("a", "x2").items()))
    again = paired_test(backwards, grid.by_image("b", "x2"), smaller_is_better=True)
    assert again is not None
    assert (again.n, again.t) == (3, pytest.approx(test.t))
    assert paired_test({"p": 1.0, "q": math.inf}, {"p": 2.0, "q": 3.0}) is None


def test_p_values_are_corrected_together(grid: Grid[str, str]) -> None:
    tests = {other: grid.test("b", other, "x2") for other in "ac"}
    found = corrected({key: test for key, test in tests.items() if test})
    assert [one.holm for one in found.values()] == holm([one.test.p for one in found.values()])
    assert list(found) == ["a", "c"]


def test_missing_figures_are_nan() -> None:
    assert math.isnan(mean([]))
    assert math.isnan(deviation([1.0]))
    assert math.isnan(deviation([1.0, math.inf]))


def test_a_share_is_recovered_only_of_a_loss() -> None:
    assert recovered(0.8, 0.9, 0.7) == pytest.approx(0.5)
    assert math.isnan(recovered(0.8, 0.7, 0.7))
    assert recovered(15.0, 10.0, 20.0, smaller_is_better=True) == pytest.approx(0.5)
    assert math.isnan(recovered(15.0, 10.0, 20.0))
