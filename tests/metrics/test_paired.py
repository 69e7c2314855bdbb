"""The paired test against the textbook formula; Holm's correction against a worked example."""

import math

import numpy as np
import pytest
from scipy import stats

from histoscale.errors import InputError
from histoscale.metrics.paired import holm, paired_t_test


def test_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(30, 2, 12), rng.normal(29.6, 2, 12)
    d = first - second
    error = d.std(ddof=1) / math.sqrt(12)
    t = d.mean() / error
    reach = stats.t.ppf(0.975, 11) * error
    result = paired_t_test(first.tolist(), second.tolist())
    assert (result.n, result.difference) == (12, pytest.approx(d.mean()))
    assert result.t == pytest.approx(t)
    assert result.p == pytest.approx(2 * stats.t.sf(abs(t), 11))
    assert (result.low, result.high) == (pytest.approx(d.mean() - reach), pytest.approx(d.mean() + reach))


@pytest.mark.parametrize("n", [2, 5, 300])
@pytest.mark.parametrize("shift", [0.0, 0.3, 5.0])
def test_equals_scipy(n: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.normal(30, 2, n), rng.normal(30 + shift, 2, n)
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.9)
    result = paired_t_test(first.tolist(), second.tolist(), 0.9)
    assert (result.t, result.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-11, abs=0)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), rel=1e-11)


def test_sign_follows_first_minus_second() -> None:
    better, worse = [31.0, 30.2, 29.5], [30.0, 29.6, 29.1]
    assert paired_t_test(better, worse).difference > 0 > paired_t_test(worse, better).t


def test_no_spread_is_certain_either_way() -> None:
    same = paired_t_test([1.0, 2.0], [1.0, 2.0])
    assert (same.p, same.t, same.low, same.high) == (1.0, 0.0, 0.0, 0.0)
    shifted = paired_t_test([1.0, 2.0], [1.5, 2.5])
    assert (shifted.p, shifted.t, shifted.high) == (0.0, -math.inf, -0.5)


@pytest.mark.filterwarnings("error")
def test_a_spread_of_rounding_alone_is_none() -> None:
    first = [0.1, 0.7, 0.3]
    shifted = paired_t_test(first, [one + 0.2 for one in first])
    assert np.ptp([0.1 - (0.1 + 0.2), 0.7 - (0.7 + 0.2), 0.3 - (0.3 + 0.2)]) > 0
    assert (shifted.p, shifted.t, shifted.difference) == (0.0, -math.inf, pytest.approx(-0.2))
    same = paired_t_test(first, [one * 3 / 3 + 1e-17 for one in first])
    assert (same.p, same.t) == (1.0, 0.0)
    assert paired_t_test(first, [0.1, 0.7 + 1e-13, 0.3]).p == pytest.approx(0.4226, abs=0.01)


@pytest.mark.parametrize(
    ("first", "second"), [([1.0], [2.0]), ([1.0, 2.0], [1.0, 2.0, 3.0]), ([1.0, math.inf], [1.0, 2.0])]
)
def test_unusable_scores_are_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(InputError, match="paired test needs"):
        paired_t_test(first, second)


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
