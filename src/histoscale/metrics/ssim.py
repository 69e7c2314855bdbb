"""Structural similarity by scikit-image: on bytes, mean over the three colours.

Two windows are common and give different values: the 7 x 7 box, the default of scikit-image and very probably
that of the paper, and the 11 x 11 Gaussian of Z. Wang et al., IEEE TIP 13(4), 2004.
"""

import numpy as np
from jaxtyping import UInt8
from skimage.metrics import structural_similarity

from histoscale.errors import InputError


def ssim(prediction: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "H W 3"]) -> float:
    """Eq. (11): SSIM with a 7 x 7 box window and the sample covariance; 1 for equal images.

    Raises:
        InputError: if the sizes differ or the window does not fit.
    """
    _check(prediction, truth, window_px=7)
    return float(structural_similarity(truth, prediction, data_range=255, channel_axis=-1))  # type: ignore[no-untyped-call]


def ssim_gaussian(prediction: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "H W 3"]) -> float:
    """Compute SSIM with Wang's window: a Gaussian of sigma 1.5 on 11 x 11 pixels, population covariance.

    Raises:
        InputError: if the sizes differ or the window does not fit.
    """
    _check(prediction, truth, window_px=11)
    # scikit-image truncates the Gaussian at 3.5 sigma, which gives 11 x 11 pixels.
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            truth,
            prediction,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _check(prediction: np.ndarray, truth: np.ndarray, window_px: int) -> None:
    """Raise `InputError` if the images differ in size or are smaller than the window."""
    if prediction.shape != truth.shape:
        raise InputError(f"Expected two images of one size, found {prediction.shape} and {truth.shape}.")
    if min(truth.shape[:2]) < window_px:
        raise InputError(
            f"SSIM with a window of {window_px} x {window_px} pixels needs an image of at least that size: "
            f"found {truth.shape[0]} x {truth.shape[1]}."
        )
