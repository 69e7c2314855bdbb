"""Eqs. 9-10 against loops, and the official protocol's border, clamp and missing rounding."""

import math

import numpy as np
import pytest

from histoscale.errors import InputError
from histoscale.metrics.psnr import mean_squared_error, psnr_shaved, psnr_whole, shave_px


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (40, 37, 3), dtype=np.uint8) for _ in range(2))  # type: ignore[return-value]


def test_eqs_9_and_10_equal_a_literal_loop(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    total = 0
    for p, t in zip(prediction.ravel().tolist(), truth.ravel().tolist(), strict=True):
        total += (p - t) ** 2
    mse = total / truth.size
    assert mean_squared_error(prediction, truth) == pytest.approx(mse, rel=1e-12)
    assert psnr_whole(prediction, truth) == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12)


def test_differences_do_not_wrap_around_in_bytes() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert mean_squared_error(black, white) == 255**2
    assert psnr_whole(black, white) == 0


def test_equal_images_have_infinite_psnr(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image = pair[0]
    assert psnr_whole(image, image) == math.inf
    assert psnr_shaved(image / 255, image / 255, 2.0) == math.inf


@pytest.mark.parametrize(("scale", "border"), [(2, 8), (2.4, 9), (3.0, 9), (8, 14)])
def test_shave_is_the_scale_rounded_up_plus_six(scale: float, border: int) -> None:
    assert shave_px(scale) == border


def test_errors_in_the_border_do_not_count_and_one_pixel_further_in_they_do() -> None:
    truth = np.full((40, 40, 3), 0.5)
    prediction = truth.copy()
    prediction[:8] = prediction[-8:] = 0
    prediction[:, :8] = prediction[:, -8:] = 0
    assert psnr_shaved(prediction, truth, 2.0) == math.inf
    prediction[8, 8] = 0.25
    inside = (40 - 16) ** 2
    assert psnr_shaved(prediction, truth, 2.0) == pytest.approx(-10 * math.log10(0.25**2 / inside))


def test_shaved_protocol_clamps_but_does_not_round() -> None:
    truth = np.ones((40, 40, 3))
    assert psnr_shaved(truth + 0.3, truth, 2.0) == math.inf
    assert psnr_shaved(truth - 0.001, truth, 2.0) == pytest.approx(60, abs=1e-6)


def test_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        psnr_whole(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))


def test_an_image_no_larger_than_the_border_is_refused() -> None:
    with pytest.raises(InputError, match=r"more than 16 pixels, found 16 x 40"):
        psnr_shaved(np.zeros((16, 40, 3)), np.zeros((16, 40, 3)), 2.0)
    assert psnr_shaved(np.zeros((17, 40, 3)), np.zeros((17, 40, 3)), 2.0) == math.inf
