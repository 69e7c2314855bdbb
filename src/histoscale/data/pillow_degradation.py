"""From a high-resolution picture to the low-resolution one a model sees, by Pillow: the reference.

The same on tensors, batched, is `histoscale.imaging.degrade`.
"""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from histoscale.imaging.degrade import Degradation, blur_sigmas


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


def enlarge_bicubic(lr: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Pillow's bicubic enlargement: the baseline of every table."""
    return np.asarray(Image.fromarray(lr).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def add_noise(
    lr: UInt8[np.ndarray, "h w 3"], sigma: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Gaussian noise of ``sigma`` grey levels."""
    noisy = lr + rng.normal(0.0, sigma, lr.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def compress_jpeg(
    lr: UInt8[np.ndarray, "h w 3"], quality: int, offset: tuple[int, int] = (0, 0), subsampling: int = 2
) -> UInt8[np.ndarray, "h w 3"]:
    """Through JPEG and back, as scanners store tiles.

    Args:
        offset: rows and columns of the picture that lie in blocks begun above and to the left of it.
        subsampling: of colour, as Pillow counts: 0 for 4:4:4, 2 for 4:2:0.
    """
    padded = np.pad(lr, ((offset[0], 0), (offset[1], 0), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    Image.fromarray(padded).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer, formats=("JPEG",)) as picture:
        return np.asarray(picture)[offset[0] :, offset[1] :]
