"""From a high-resolution picture to the low-resolution one a model sees, by Pillow: the reference.

The same on tensors, batched, is `histoscale.imaging.degrade`.
"""

import io
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from histoscale.errors import ConfigError

Degradation = Literal["B", "C", "D", "none"]
"""B: blur of sigma (m - 1) / 2 at high resolution, then bicubic (the official code). C: sigma m / 2 instead.
D: bicubic, then sigma m / 2 at low resolution (the paper's words). none: bicubic alone."""

DEGRADATIONS: tuple[Degradation, ...] = get_args(Degradation)


def degrade(
    hr: UInt8[np.ndarray, "H W 3"], lr_size: tuple[int, int], scale: float, kind: Degradation = "B"
) -> UInt8[np.ndarray, "h w 3"]:
    """Reduce ``hr`` to ``lr_size`` (height, width).

    Args:
        scale: the factor m that sets the blur; sigmas are in pixels of the grid they act on.
    """
    picture = Image.fromarray(hr)
    before, after = blur_sigmas(scale, kind)
    if before > 0:
        picture = picture.filter(ImageFilter.GaussianBlur(before))
    picture = picture.resize((lr_size[1], lr_size[0]), Image.Resampling.BICUBIC)
    if after > 0:
        picture = picture.filter(ImageFilter.GaussianBlur(after))
    return np.asarray(picture)


def blur_sigmas(scale: float, kind: Degradation) -> tuple[float, float]:
    """Gaussian sigma before (high-resolution pixels) and after (low-resolution pixels) the reduction."""
    match kind:
        case "B":
            return (scale - 1) / 2, 0.0
        case "C":
            return scale / 2, 0.0
        case "D":
            return 0.0, scale / 2
        case "none":
            return 0.0, 0.0
    raise ConfigError(f"Wanted a degradation of {', '.join(DEGRADATIONS)}, got {kind}.")


def enlarge_bicubic(lr: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Pillow's bicubic enlargement: the baseline of every table."""
    return np.asarray(Image.fromarray(lr).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def add_noise(
    lr: UInt8[np.ndarray, "h w 3"], sigma: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Gaussian noise of ``sigma`` grey levels."""
    noisy = lr + rng.normal(0.0, sigma, lr.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def compress_jpeg(lr: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """Through JPEG and back, as scanners store tiles."""
    buffer = io.BytesIO()
    Image.fromarray(lr).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.asarray(picture)
