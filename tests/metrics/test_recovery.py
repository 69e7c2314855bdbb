"""The recovered share, by hand."""

import math

import numpy as np
import pytest

from histoscale.metrics.recovery import Figure, recovered_share, share_of


def figure(mean: float, *drawn: float) -> Figure:
    return Figure(mean, np.array(drawn))


def test_three_quarters_of_the_way() -> None:
    share = recovered_share(figure(0.8, 0.8, 0.7), figure(0.9, 0.9, 0.9), figure(0.5, 0.5, 0.5))
    assert share.mean == pytest.approx(0.75)
    assert (share.low, share.high) == pytest.approx((0.5 + 0.025 * 0.25, 0.75 - 0.025 * 0.25))


def test_an_error_that_falls_is_recovered_as_well() -> None:
    share = recovered_share(figure(2, 2, 2), figure(1, 1, 1), figure(5, 5, 5))
    assert share == pytest.approx((0.75, 0.75, 0.75))


def test_without_a_loss_there_is_no_share() -> None:
    same = figure(0.5, 0.4, 0.6)
    assert all(map(math.isnan, recovered_share(figure(0.7, 0.7, 0.7), same, same)))


def test_an_uncertain_loss_gives_no_interval() -> None:
    share = recovered_share(figure(0.8, 0.8, 0.8), figure(0.9, 0.9, 0.4), figure(0.5, 0.5, 0.5))
    assert share.mean == pytest.approx(0.75)
    assert math.isnan(share.low)
    assert math.isnan(share.high)


def test_share_of_the_original() -> None:
    assert share_of(figure(0.6, 0.6, 0.6), figure(0.8, 0.8, 0.8)) == pytest.approx((0.75, 0.75, 0.75))
    assert math.isnan(share_of(figure(1, 1), figure(0, 0)).mean)
    assert math.isnan(share_of(figure(1, 1), figure(0.5, 0)).low)
