"""Convert the samples of a file to upright pixels of eight bits per channel: arrays in, arrays out."""

import numpy as np
from jaxtyping import Shaped, UInt8

from histoscale.errors import InputError

TRANSPOSING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
DARKEST_FULL_RANGE = 4096
"""16-bit samples of a 12-bit camera stay below this value, and would be nearly black in eight bits."""
SIXTEEN_BITS = "16 bits per channel are read as 8"
"""Remark on an image of such samples."""


def upright(array: Shaped[np.ndarray, "h w *c"], orientation: int) -> Shaped[np.ndarray, "H W *c"]:
    """Undo an EXIF or TIFF orientation (1 to 8), as viewers do."""
    if orientation in TRANSPOSING:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def upright_size(size_xy: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height after `upright`."""
    return (size_xy[1], size_xy[0]) if orientation in TRANSPOSING else size_xy


def to_eight_bits(array: Shaped[np.ndarray, "*shape"], bits: int, name: str) -> UInt8[np.ndarray, "*shape"]:
    """Scale samples of ``bits`` bits from their full range to 0 to 255, rounded.

    Args:
        name: of the file, for the message.

    Raises:
        InputError: if 16-bit samples use a sixteenth of their range or less.
    """
    if bits == 8:
        return array.astype(np.uint8, copy=False)
    highest = int(array.max(initial=0))
    if bits == 16 and 0 < highest < DARKEST_FULL_RANGE:
        raise InputError(
            f"{name} has 16-bit samples that end at {highest} of 65535, so their true range is unknown: "
            "stretch them to the full range or to 8 bits first."
        )
    full = 2**bits - 1
    rounded = (array.astype(np.uint32) * 255 + full // 2) // full
    return np.asarray(rounded, np.uint8)


def rgb_from_ycbcr(
    samples: UInt8[np.ndarray, "*shape 3"], weights: tuple[float, ...], codes: tuple[float, ...]
) -> UInt8[np.ndarray, "*shape 3"]:
    """Convert YCbCr to RGB as the TIFF specification does (section 21).

    Args:
        weights: of red, green and blue in Y.
        codes: of black and white of Y, then of zero and of the largest Cb, then of Cr.
    """
    black, white = np.array(codes[::2], np.float32), np.array(codes[1::2], np.float32)
    largest = np.array([255, 127, 127], np.float32)
    y, cb, cr = np.moveaxis((samples - black) / (white - black) * largest, -1, 0)
    of_red, of_green, of_blue = weights
    red = y + (2 - 2 * of_red) * cr
    blue = y + (2 - 2 * of_blue) * cb
    green = (y - of_red * red - of_blue * blue) / of_green
    return np.asarray(np.rint(np.stack([red, green, blue], axis=-1)).clip(0, 255), np.uint8)


def unpremultiplied(
    colour: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w c"]:
    """Divide colours by the opacity that a writer multiplied them with."""
    opacity = np.maximum(alpha, 1)[..., None].astype(np.uint32)
    restored = (colour.astype(np.uint32) * 255 + opacity // 2) // opacity
    return np.asarray(np.minimum(restored, 255), np.uint8)


def over_white(
    colour: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w"] | None
) -> UInt8[np.ndarray, "h w c"]:
    """Blend transparent pixels with white; the colours are not multiplied by the opacity."""
    if alpha is None or bool((alpha == 255).all()):
        return colour
    opacity = alpha[..., None].astype(np.uint16)
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def three_channels(colour: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """Make RGB from one or three channels: grey becomes three equal channels."""
    return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))
