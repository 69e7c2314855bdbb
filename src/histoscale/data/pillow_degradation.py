"""Degrade high-resolution images to low-resolution images with Pillow. This is the reference.

`histoscale.imaging.degrade` does the same on batches of tensors.
"""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from histoscale.imaging.degrade import Degradation, blur_sigmas


def degrade(
    hr: UInt8[np.ndarray, "H W 3"], lr_size: tuple[int, int], scale: float, kind: Degradation = "B"
) -> UInt8[np.ndarray, "h w 3"]:
    """Blur ``hr`` and downsample it to ``lr_size`` (height, width).

    Args:
        hr: the high-resolution image.
        lr_size: height and width of the result.
        scale: the factor m that determines the blur; sigmas are in pixels of the blurred image.
        kind: the degradation.
    """
    image = Image.fromarray(hr)
    before, after = blur_sigmas(scale, kind)
    if before > 0:
        image = image.filter(ImageFilter.GaussianBlur(before))
    image = image.resize((lr_size[1], lr_size[0]), Image.Resampling.BICUBIC)
    if after > 0:
        image = image.filter(ImageFilter.GaussianBlur(after))
    return np.asarray(image)


def upscale_bicubic(lr: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Upscale with Pillow's bicubic interpolation, the baseline of every table."""
    return np.asarray(Image.fromarray(lr).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def add_noise(
    lr: UInt8[np.ndarray, "h w 3"], sigma: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Add Gaussian noise of ``sigma`` grey levels."""
    noisy = lr + rng.normal(0.0, sigma, lr.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def compress_jpeg(
    lr: UInt8[np.ndarray, "h w 3"], quality: int, offset: tuple[int, int] = (0, 0), subsampling: int = 2
) -> UInt8[np.ndarray, "h w 3"]:
    """Compress to JPEG and decompress, because scanners store JPEG tiles.

    Args:
        lr: the image.
        quality: quality of the JPEG.
        offset: rows and columns of the first JPEG block that lie above and to the left of the image.
        subsampling: of colour, in Pillow's numbers: 0 for 4:4:4, 2 for 4:2:0.
    """
    padded = np.pad(lr, ((offset[0], 0), (offset[1], 0), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    Image.fromarray(padded).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer, formats=("JPEG",)) as image:
        return np.asarray(image)[offset[0] :, offset[1] :]
