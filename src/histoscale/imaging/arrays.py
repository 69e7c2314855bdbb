"""Pictures as arrays and tensors: what may go in, windows of it, and room for what comes out."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from histoscale.errors import InputError, ScaleError
from histoscale.imaging.coords import rounded_size

ReadWindow: TypeAlias = Callable[[slice, slice], Tensor]
"""Rows and columns of the low-resolution image in, that window out: float [b, 3, rows, cols] in [0, 1]."""
Image = TypeVar("Image", NDArray[Any], Tensor)


def check_image(image: object) -> None:
    """Raise `InputError` unless ``image`` is of a kind that `upscale` takes."""
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"Wanted an array of height x width x 3, got shape {tuple(image.shape)}.")
        if image.dtype != np.uint8:
            raise InputError(f"Wanted an array of uint8, got {image.dtype} (floats go in as a torch tensor).")
    elif isinstance(image, Tensor):
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or image.numel() == 0:
            raise InputError(f"Wanted a tensor [3, h, w] or [b, 3, h, w], got shape {tuple(image.shape)}.")
        if not image.is_floating_point():
            raise InputError(
                f"Wanted a float tensor in [0, 1], got {image.dtype} (uint8 goes in as an array)."
            )
        low, high = (float(value) for value in image.aminmax())
        if not (low > -1 and high < 2):  # bicubic overshoot passes, 0..255 and NaN do not
            raise InputError(f"Wanted a float tensor in [0, 1], got values from {low:g} to {high:g}.")
    else:
        raise InputError(f"Wanted a uint8 array or a float tensor, got {type(image).__name__}.")


def wanted_size(
    lr_size: tuple[int, int], size: tuple[int, int] | None, scale: float | None
) -> tuple[int, int]:
    """The output's height and width from exactly one of ``size`` and ``scale``.

    Raises:
        ScaleError: if both or neither are given, if the scale is not a number, or if a side would shrink.
    """
    if (size is None) == (scale is None):
        raise ScaleError(
            "Wanted exactly one of size and scale, got " + ("neither." if size is None else "both.")
        )
    h, w = lr_size
    if size is None:
        if not math.isfinite(cast(float, scale)):
            raise ScaleError(f"Wanted a finite scale, got {scale}.")
        if cast(float, scale) < 1:
            raise ScaleError(f"Wanted a scale of at least 1, got {scale:g} (reduce with Pillow instead).")
        size = rounded_size(h, cast(float, scale)), rounded_size(w, cast(float, scale))
    if len(size) != 2 or not all(isinstance(side, int | np.integer) for side in size):
        raise ScaleError(f"Wanted a size of two whole numbers, height and width, got {size}.")
    if size[0] < h or size[1] < w:
        raise ScaleError(
            f"Wanted at least the image's own {h} x {w} pixels, got {size[0]} x {size[1]} "
            "(reduce with Pillow instead)."
        )
    return int(size[0]), int(size[1])


def empty_like(image: NDArray[Any] | Tensor, size: tuple[int, int]) -> NDArray[Any] | Tensor:
    """Room for the output, of the same kind as the image."""
    try:
        if isinstance(image, np.ndarray):
            return np.empty((*size, 3), np.uint8)
        return image.new_empty((*image.shape[:-2], *size))
    except (MemoryError, RuntimeError, ValueError, OverflowError, TypeError):  # as numpy or torch puts it
        raise ScaleError(f"An output of {size[0]} x {size[1]} pixels does not fit in memory.") from None


def to_uint8(pixels: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Clip to [0, 1] and round to 256 levels."""
    return (pixels.clamp(0, 1) * 255).round_().to(torch.uint8)


def pixel_reader(image: NDArray[Any] | Tensor) -> ReadWindow:
    """Windows of an image in memory as float batches; only the window is converted."""

    def read(rows: slice, cols: slice) -> Tensor:
        if isinstance(image, Tensor):
            window = image[..., rows, cols]
            return window if window.ndim == 4 else window[None]
        pixels = torch.from_numpy(image[rows, cols].astype(np.float32))  # copies, hence writable
        return pixels.permute(2, 0, 1)[None].contiguous() / 255

    return read
