"""The size of the output for each way to ask for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoscale.errors import ScaleError
from histoscale.imaging.coords import rounded_size
from histoscale.io.slide import Mpp
from histoscale.upscaling.geometry import resolve, rounded
from histoscale.upscaling.options import Options

HALF = Mpp(0.5, 0.5)


@given(side=st.integers(1, 100_000), scale=st.floats(0.01, 16))
def test_sides_are_rounded_as_everywhere(side: int, scale: float) -> None:
    assert rounded(side, scale) == rounded_size(side, scale) == math.floor(side * scale + 0.5)


def test_scale() -> None:
    target = resolve(Options(scale=2.7), (601, 400), Mpp(0.499, 0.5), 20)
    assert target.size_xy == (1623, 1080)
    assert target.mpp == pytest.approx((0.499 * 601 / 1623, 0.5 * 400 / 1080))
    assert target.power == pytest.approx(54, rel=1e-3)
    assert target.remarks == ()


def test_the_extent_in_micrometres_stays() -> None:
    target = resolve(Options(scale=1.37), (333, 777), Mpp(0.3, 0.4), None)
    assert target.mpp is not None
    extents = [n * um for n, um in zip(target.size_xy, target.mpp, strict=True)]
    assert extents == pytest.approx([333 * 0.3, 777 * 0.4])


def test_size_gives_exactly_that_size() -> None:
    target = resolve(Options(size_xy=(1500, 1000)), (600, 400), HALF, None)
    assert (target.size_xy, target.scale_xy, target.remarks) == ((1500, 1000), (2.5, 2.5), ())


def test_a_size_rounded_by_a_pixel_gives_no_remark() -> None:
    assert resolve(Options(size_xy=(1000, 667)), (600, 400), None, None).remarks == ()


def test_a_size_of_other_proportions_gives_a_remark() -> None:
    target = resolve(Options(size_xy=(1500, 900)), (600, 400), HALF, None)
    assert target.mpp == pytest.approx((0.2, 0.5 * 400 / 900))
    assert target.remarks == (
        "1500 x 900 has a different aspect ratio from 600 x 400: scaled by 2.5 across and 2.25 down",
    )


def test_mpp_makes_square_pixels() -> None:
    target = resolve(Options(mpp=0.25), (600, 400), Mpp(0.5, 0.75), None)
    assert target.size_xy == (1200, 1200)
    assert target.mpp == pytest.approx((0.25, 0.25))


def test_mpp_needs_the_sources() -> None:
    with pytest.raises(ScaleError, match="unknown: give --source-mpp"):
        resolve(Options(mpp=0.25), (600, 400), None, 20)


def test_magnification_is_the_ratio_of_powers() -> None:
    target = resolve(Options(magnification=40), (600, 400), Mpp(0.499, 0.499), 20)
    assert (target.size_xy, target.power, target.remarks) == ((1200, 800), 40, ())


def test_magnification_without_a_power_names_the_estimate() -> None:
    target = resolve(Options(magnification=40), (600, 400), Mpp(0.499, 0.499), None)
    assert target.size_xy == (1198, 798)
    assert target.remarks == ("no objective power is recorded: estimated as 10 / mpp = 20.04",)


def test_magnification_without_anything() -> None:
    with pytest.raises(ScaleError, match="unknown: give --source-mpp"):
        resolve(Options(magnification=40), (600, 400), None, None)


def test_a_power_that_contradicts_the_mpp_gives_a_remark() -> None:
    target = resolve(Options(magnification=40), (600, 400), Mpp(0.25, 0.25), 20)
    assert target.size_xy == (1200, 800)
    assert target.remarks == ("the objective power of 20 contradicts 0.25 um/px, which is that of 40x",)


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["scale", "mpp", "magnification"])
def test_impossible_numbers(name: str, number: float) -> None:
    with pytest.raises(ScaleError, match=f"--{name} must be positive"):
        Options(**{name: number})


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-5, 5)])
def test_impossible_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(ScaleError, match="--size must be positive"):
        Options(size_xy=size)


def test_exactly_one_size_is_required() -> None:
    with pytest.raises(ScaleError, match="exactly one"):
        Options()
    with pytest.raises(ScaleError, match="exactly one"):
        Options(scale=2, mpp=0.25)


def test_nothing_left() -> None:
    with pytest.raises(ScaleError, match="600 x 1 px"):
        resolve(Options(scale=0.4), (600, 1), None, None)


@pytest.mark.parametrize("scale", [1e9, 1e300])
def test_beyond_counting(scale: float) -> None:
    with pytest.raises(ScaleError, match="more than any format"):
        resolve(Options(scale=scale), (600, 400), None, None)
