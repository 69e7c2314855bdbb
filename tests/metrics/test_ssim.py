"""Eq. 11 against a loop over windows, both windows."""

import numpy as np
import pytest

from histoscale.errors import InputError
from histoscale.metrics.ssim import ssim, ssim_gaussian


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (21, 24, 3), dtype=np.uint8)
    noisy = np.clip(truth + rng.normal(0, 40, truth.shape), 0, 255).astype(np.uint8)
    return noisy, truth


def literal_ssim(
    prediction: np.ndarray, truth: np.ndarray, window: np.ndarray, sample_covariance: bool
) -> float:
    """Equation 11 window by window, colour by colour, with c1 = (0.01 * 255)^2 and c2 = (0.03 * 255)^2."""
    size, values = window.shape[0], []
    unbiased = window.size / (window.size - 1) if sample_covariance else 1.0
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for colour in range(3):
        for i in range(truth.shape[0] - size + 1):
            for j in range(truth.shape[1] - size + 1):
                x = prediction[i : i + size, j : j + size, colour].astype(np.float64)
                y = truth[i : i + size, j : j + size, colour].astype(np.float64)
                mx, my = (window * x).sum(), (window * y).sum()
                vx = unbiased * ((window * x * x).sum() - mx * mx)
                vy = unbiased * ((window * y * y).sum() - my * my)
                cov = unbiased * ((window * x * y).sum() - mx * my)
                top = (2 * mx * my + c1) * (2 * cov + c2)
                values.append(top / ((mx * mx + my * my + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def test_box_window_equals_the_literal_equation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    expected = literal_ssim(*pair, np.full((7, 7), 1 / 49), sample_covariance=True)
    assert ssim(*pair) == pytest.approx(expected, abs=1e-9)


def test_gaussian_window_equals_the_literal_equation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    profile = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    profile /= profile.sum()
    expected = literal_ssim(*pair, np.outer(profile, profile), sample_covariance=False)
    assert ssim_gaussian(*pair) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("measure", [ssim, ssim_gaussian])
def test_equal_images_score_one(measure, pair: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[no-untyped-def]
    assert measure(pair[1], pair[1]) == pytest.approx(1, abs=1e-12)
    assert measure(*pair) < 0.99


@pytest.mark.parametrize(("measure", "window"), [(ssim, 7), (ssim_gaussian, 11)])
def test_an_image_smaller_than_the_window_is_refused(measure, window: int) -> None:  # type: ignore[no-untyped-def]
    small = np.zeros((window - 1, 30, 3), np.uint8)
    with pytest.raises(InputError, match=f"window of {window} x {window} pixels.*found {window - 1} x 30"):
        measure(small, small)
    fits = np.zeros((window, 30, 3), np.uint8)
    assert measure(fits, fits) == 1


def test_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        ssim(np.zeros((12, 12, 3), np.uint8), np.zeros((12, 13, 3), np.uint8))
