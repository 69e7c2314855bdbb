"""Peak signal-to-noise ratio in two protocols: whole, on bytes, as Eqs. (9) and (10) read; and shaved.

The official code shaves the border, which is the hardest part, and does not round to bytes, which is worth
some 0.05 dB at 40 dB. Tables therefore show both.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

from histoscale.errors import InputError


def mean_squared_error(prediction: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "H W 3"]) -> float:
    """Eq. (9): mean over all pixels and colours of the squared difference, in squared grey levels.

    The paper prints the difference without its square, which is not an error measure; the square is put back.

    Raises:
        InputError: if the two sizes differ.
    """
    _check_same_shape(prediction, truth)
    difference = prediction.astype(np.float64) - truth
    return float(np.mean(difference * difference))


def psnr_whole(prediction: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "H W 3"]) -> float:
    """Eq. (10): PSNR of the whole image in decibels, on bytes; infinite where the two are equal.

    Raises:
        InputError: if the two sizes differ.
    """
    return _decibels(mean_squared_error(prediction, truth), peak=255.0)


def psnr_shaved(
    prediction: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "H W 3"], scale: float
) -> float:
    """PSNR of the official code: RGB clamped to [0, 1], not rounded to bytes, the border shaved off.

    The official code shaves ``scale + 6`` pixels a side; a scale that is no integer is rounded up.

    Raises:
        InputError: if the sizes differ or nothing is left inside the border.
    """
    _check_same_shape(prediction, truth)
    shave = shave_px(scale)
    if min(truth.shape[:2]) <= 2 * shave:
        raise InputError(
            f"Shaved PSNR at x{scale:g} takes {shave} pixels off each side: "
            f"wanted more than {2 * shave} pixels, got {truth.shape[0]} x {truth.shape[1]}."
        )
    inside = (slice(shave, -shave), slice(shave, -shave))
    difference = np.clip(prediction[inside], 0, 1).astype(np.float64) - truth[inside]
    return _decibels(float(np.mean(difference * difference)), peak=1.0)


def shave_px(scale: float) -> int:
    """Border in output pixels that the official protocol leaves out: ``ceil(scale) + 6``."""
    return math.ceil(scale) + 6


def _decibels(mse: float, peak: float) -> float:
    return math.inf if mse == 0 else 10 * math.log10(peak * peak / mse)


def _check_same_shape(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise InputError(f"Two images of one size are compared: got {prediction.shape} and {truth.shape}.")
