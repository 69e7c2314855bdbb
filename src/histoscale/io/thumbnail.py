"""A small view of a slide for the report."""

import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from histoscale.io.slide import Slide

LONGEST_PX = 480
"""Longer side of the view."""
BAND_PX = 2**23
"""Pixels that are read at once, so that memory does not grow with the slide."""
MOST_PX = 2**27
"""Pixels that may be read in total. A large slide without small levels gets no overview, which would take
minutes."""
QUALITY = 80


def overview(
    slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"] | None:
    """Reduce a rectangle of level 0 to `LONGEST_PX`; None if more than `MOST_PX` pixels must be read.

    Raises:
        InputError: if the rectangle reaches beyond the slide, or pixels are damaged.
    """
    step = max(max(size_xy) / LONGEST_PX, 1.0)
    width, height = (max(round(side / step), 1) for side in size_xy)
    level = slide.best_level(step)
    across, down = slide.downsample_xy(level)
    # The rectangle in pixels of that level; it is read in bands of ``rows`` rows of the view.
    left, right = l0_xy[0] / across, (l0_xy[0] + size_xy[0]) / across
    top, bottom = l0_xy[1] / down, (l0_xy[1] + size_xy[1]) / down
    if (right - left) * (bottom - top) > MOST_PX:
        return None
    row = (bottom - top) / height
    rows = max(int(BAND_PX / ((right - left) * row)), 1)
    bands = []
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        box = left, top + start * row, right, top + stop * row
        bands.append(_reduced(slide, level, box, (width, stop - start)))
    return np.concatenate(bands)


def to_jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Encode pixels as a small JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def _reduced(
    slide: Slide, level: int, box: tuple[float, float, float, float], size_xy: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Average a rectangle of a level down to ``size_xy`` pixels.

    Args:
        box: left, top, right, bottom in pixels of the level; its sides may lie between two pixels.
    """
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = (
        min(math.ceil(end), side) for end, side in zip(box[2:], slide.levels_xy[level], strict=True)
    )
    pixels = Image.fromarray(slide.read_region(level, (left, top), (right - left, bottom - top)))
    inside = box[0] - left, box[1] - top, min(box[2], right) - left, min(box[3], bottom) - top
    return np.asarray(pixels.resize(size_xy, Image.Resampling.BOX, inside))
