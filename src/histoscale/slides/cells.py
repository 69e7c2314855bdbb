"""A rectangle at a glance: the darkest spot in each cell of about 16 um, read in bounded memory."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32
from PIL import Image

from histoscale.errors import InputError
from histoscale.slides.slide import Slide

CELL_UM = 16.0
CELL_PX = 32
"""Side of a cell in level-0 pixels where micrometres are unknown."""
SPOTS = 4
"""Spots along a cell's side: 4 um show one nucleus in pale stroma, which a cell's mean would hide."""
MOST_CELLS = 2**22
"""Larger rectangles get larger cells, so that memory does not grow with the slide."""
BLOCK_PX = 2048
"""Side of what is read at once."""


def grid_of(slide: Slide, size_xy: tuple[int, int]) -> tuple[int, int]:
    """Cells down and across a rectangle.

    Raises:
        InputError: if the rectangle is empty.
    """
    width, height = size_xy
    if min(size_xy) < 1:
        raise InputError(f"Wanted a rectangle to look for tissue in, got {width} x {height} pixels.")
    mpp = slide.description.mpp
    cell = CELL_UM / max(mpp) if mpp else CELL_PX
    cell = max(cell, math.sqrt(width * height / MOST_CELLS), 1.0)
    return math.ceil(height / cell), math.ceil(width / cell)


def read_cells(slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """The value (0 to 255) of the darkest spot in each cell, in the channel where it is darkest.

    Read from the coarsest level that still shows spots.

    Raises:
        InputError: if the rectangle is empty or reaches beyond the slide, or pixels are damaged.
    """
    h, w = grid_of(slide, size_xy)
    level = _level_for(slide, size_xy[0] / w / SPOTS)
    step_x, step_y = (n / whole for n, whole in zip(slide.levels_xy[level], slide.levels_xy[0], strict=True))
    down, across = size_xy[1] / h * step_y, size_xy[0] / w * step_x
    top, left = l0_xy[1] * step_y, l0_xy[0] * step_x
    darkest = np.empty((h, w), np.float32)
    for rows in _runs(h, down):
        for cols in _runs(w, across):
            box = (
                left + cols.start * across,
                top + rows.start * down,
                left + cols.stop * across,
                top + rows.stop * down,
            )
            grid = rows.stop - rows.start, cols.stop - cols.start
            darkest[rows, cols] = _darkest(slide, level, box, grid, min(SPOTS, max(int(across), 1)))
    return darkest


def _level_for(slide: Slide, spot_px: float) -> int:
    """The coarsest level whose pixels are no larger than a spot."""
    width = slide.levels_xy[0][0]
    return max(i for i, (w, _) in enumerate(slide.levels_xy) if i == 0 or width / w <= spot_px)


def _runs(n: int, cell_px: float) -> Iterator[slice]:
    """Cells in runs of about `BLOCK_PX` pixels."""
    step = max(int(BLOCK_PX / cell_px), 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _darkest(
    slide: Slide, level: int, box: tuple[float, float, float, float], grid: tuple[int, int], spots: int
) -> Float32[np.ndarray, "h w"]:
    """The darkest spots of ``grid`` cells that share out ``box`` (left, top, right, bottom in the level)."""
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = (min(math.ceil(end), n) for end, n in zip(box[2:], slide.levels_xy[level], strict=True))
    pixels = Image.fromarray(slide.read_region(level, (left, top), (right - left, bottom - top)))
    inner = box[0] - left, box[1] - top, min(box[2], right) - left, min(box[3], bottom) - top
    h, w = grid
    means = np.asarray(pixels.resize((w * spots, h * spots), Image.Resampling.BOX, inner), np.float32)
    return np.asarray(means.reshape(h, spots, w, spots, 3).min(axis=(1, 3, 4)))
