"""Images as arrays and tensors: check them, read windows, allocate the output."""

from collections.abc import Callable, Collection
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from histoscale.errors import InputError, ScaleError
from histoscale.imaging.coords import rounded_size

ReadWindow: TypeAlias = Callable[[slice, slice], Tensor]
"""A function that reads a window of the low-resolution image: slices of rows and columns to float values in
[0, 1], [b, 3, rows, cols]."""
Image = TypeVar("Image", NDArray[Any], Tensor)


def check_image(image: object) -> None:
    """Raise `InputError` unless ``image`` is of a type, shape and range that `upscale` accepts."""
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"Expected an array of height x width x 3, found shape {tuple(image.shape)}.")
        if image.dtype != np.uint8:
            raise InputError(
                f"Expected an array of uint8, found {image.dtype}: give floats as a torch tensor."
            )
    elif isinstance(image, Tensor):
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or image.numel() == 0:
            raise InputError(
                f"Expected a tensor [3, h, w] or [b, 3, h, w], found shape {tuple(image.shape)}."
            )
        if not image.is_floating_point():
            raise InputError(
                f"Expected a float tensor in [0, 1], found {image.dtype}: give uint8 as an array."
            )
        low, high = (float(value) for value in image.aminmax())
        if not (low > -1 and high < 2):  # allows bicubic overshoot, but neither 0..255 nor NaN
            raise InputError(f"Expected a float tensor in [0, 1], found values from {low:g} to {high:g}.")
    else:
        raise InputError(f"Expected a uint8 array or a float tensor, found {type(image).__name__}.")


def output_size(
    lr_size: tuple[int, int], size: tuple[int, int] | None, scale: float | None
) -> tuple[int, int]:
    """Compute the height and width of the output from exactly one of ``size`` and ``scale``.

    Raises:
        ScaleError: if both or neither are given, if they are no numbers, if the output is smaller than the
            image, or if it has more pixels than can be counted.
    """
    if (size is None) == (scale is None):
        raise ScaleError(
            "Expected exactly one of size and scale, found " + ("neither." if size is None else "both.")
        )
    h, w = lr_size
    if size is None:
        size = _scaled((h, w), scale)
    if not isinstance(size, Collection) or len(size) != 2 or not all(map(is_whole, size)):
        raise ScaleError(f"Expected a size of two whole numbers, height and width, found {size!r}.")
    if size[0] < h or size[1] < w:
        raise ScaleError(
            f"Expected at least the image's {h} x {w} pixels, found {size[0]} x {size[1]}: "
            "downsample with Pillow instead."
        )
    return int(size[0]), int(size[1])


def _scaled(lr_size: tuple[int, int], scale: object) -> tuple[int, int]:
    """The output's height and width at a scale."""
    if not isinstance(scale, Real):
        raise ScaleError(f"Expected a number as scale, found {scale!r}.")
    try:
        factor = float(scale)
        if factor < 1:
            raise ScaleError(
                f"Expected a scale of at least 1, found {factor:g}: downsample with Pillow instead."
            )
        return rounded_size(lr_size[0], factor), rounded_size(lr_size[1], factor)
    except (OverflowError, ValueError) as error:  # an infinite number of pixels, or NaN
        raise ScaleError(f"Expected a finite scale and fewer pixels: {error}.") from None


def is_whole(number: object) -> bool:
    """Whether a number counts pixels."""
    return isinstance(number, int | np.integer)


def empty_like(image: NDArray[Any] | Tensor, size: tuple[int, int]) -> NDArray[Any] | Tensor:
    """Allocate an output of the same type as the image."""
    try:
        if isinstance(image, np.ndarray):
            return np.empty((*size, 3), np.uint8)
        return image.new_empty((*image.shape[:-2], *size))
    except (
        MemoryError,
        RuntimeError,
        ValueError,
        OverflowError,
        TypeError,
    ):  # numpy and torch raise different errors
        raise ScaleError(f"An output of {size[0]} x {size[1]} pixels does not fit in memory.") from None


def to_uint8(pixels: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Clip to [0, 1] and round to 256 levels."""
    return (pixels.clamp(0, 1) * 255).round_().to(torch.uint8)


def pixel_reader(image: NDArray[Any] | Tensor) -> ReadWindow:
    """Return a function that reads windows of an image in memory as float batches.

    It converts only the window, not the whole image.
    """

    def read(rows: slice, cols: slice) -> Tensor:
        """Read one window."""
        if isinstance(image, Tensor):
            window = image[..., rows, cols]
            return window if window.ndim == 4 else window[None]
        pixels = torch.from_numpy(image[rows, cols].astype(np.float32))  # copies, hence writable
        return pixels.permute(2, 0, 1)[None].contiguous() / 255

    return read
