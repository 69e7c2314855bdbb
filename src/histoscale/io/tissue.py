"""Which parts of a slide are tissue and which are background, in cells of about 16 um, detected or read.

Detection prefers false tissue to missed tissue. Ink, dust and shadows count as tissue, which costs time only;
tissue that counted as background would be interpolated and lose detail.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from histoscale.errors import InputError
from histoscale.files import atomic_write
from histoscale.io.image_reader import read_mask
from histoscale.io.slide import Slide

CELL_UM = 16.0
CELL_PX = 32
"""Side of a cell in level-0 pixels if the mpp is unknown."""
SPOTS = 4
"""Spots along the side of a cell. A spot of 4 um shows a single nucleus in pale stroma; the mean of a whole
cell would hide it."""
MOST_CELLS = 2**22
"""In a larger rectangle the cells are larger, so that memory does not grow with the slide."""
BLOCK_PX = 2048
"""Side of the squares that are read one after the other."""
DARKEST_BACKGROUND = 0.08
"""Optical density. If even the lightest places are darker, the rectangle has no background."""
ABOVE_BACKGROUND = 0.03, 0.05
"""Smallest and largest distance of the threshold from the density of the background. Below the first, uneven
light would count as tissue; above the second, pale stroma beside dark nuclei would count as background."""
SMALLEST_TISSUE, SMALLEST_HOLE = 4, 64
"""In cells. Smaller patches of tissue are dust; smaller holes are gaps within tissue."""
WHOLE_CELLS, FADING_CELLS = math.sqrt(2), 2.0
"""Weights are 1 up to a diagonal neighbour of tissue, because then the weights interpolated between cells are
1 on every pixel of tissue. Over the next `FADING_CELLS` cells they fall to 0."""


def grid_of(slide: Slide, size_xy: tuple[int, int]) -> tuple[int, int]:
    """Count the cells down and across a rectangle.

    Raises:
        InputError: if the rectangle is empty.
    """
    width, height = size_xy
    if min(size_xy) < 1:
        raise InputError(f"Tissue cannot be detected in {width} x {height} px: choose a larger region.")
    mpp = slide.description.mpp
    cell = CELL_UM / max(mpp) if mpp else CELL_PX
    cell = max(cell, math.sqrt(width * height / MOST_CELLS), 1.0)
    return math.ceil(height / cell), math.ceil(width / cell)


def read_cells(slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """Read the value (0 to 255) of the darkest spot in each cell, in the channel where it is darkest.

    The pixels come from the coarsest level that still shows spots.

    Raises:
        InputError: if the rectangle is empty or reaches beyond the slide, or pixels are damaged.
    """
    h, w = grid_of(slide, size_xy)
    level = _level_for(slide, size_xy[0] / w / SPOTS)
    step_x, step_y = (n / whole for n, whole in zip(slide.levels_xy[level], slide.levels_xy[0], strict=True))
    # The sides of a cell and the corner of the rectangle, in pixels of that level.
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
    """Choose the coarsest level whose pixels are no larger than a spot."""
    width = slide.levels_xy[0][0]
    return max(i for i, (w, _) in enumerate(slide.levels_xy) if i == 0 or width / w <= spot_px)


def _runs(n: int, cell_px: float) -> Iterator[slice]:
    """Divide a row of cells into runs of about `BLOCK_PX` pixels."""
    step = max(int(BLOCK_PX / cell_px), 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _darkest(
    slide: Slide, level: int, box: tuple[float, float, float, float], grid: tuple[int, int], spots: int
) -> Float32[np.ndarray, "h w"]:
    """Find the darkest spot of each of ``grid`` cells that divide ``box`` (left, top, right, bottom).

    Args:
        box: in pixels of the level; its sides may lie between two pixels.
        grid: rows and columns of cells.
        spots: along the side of a cell.
    """
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = (min(math.ceil(end), n) for end, n in zip(box[2:], slide.levels_xy[level], strict=True))
    pixels = Image.fromarray(slide.read_region(level, (left, top), (right - left, bottom - top)))
    inner = box[0] - left, box[1] - top, min(box[2], right) - left, min(box[3], bottom) - top
    h, w = grid
    # A spot is a mean over its pixels; Pillow weighs the pixels that ``inner`` cuts.
    means = np.asarray(pixels.resize((w * spots, h * spots), Image.Resampling.BOX, inner), np.float32)
    return np.asarray(means.reshape(h, spots, w, spots, 3).min(axis=(1, 3, 4)))


@dataclass(frozen=True)
class TissueMask:
    """Which cells of a rectangle hold tissue.

    **Convention.** The cells divide the rectangle evenly. ``rows`` and ``cols`` are a part of an image of
    ``size`` (height, width) that covers the same rectangle at any resolution. The value of a pixel does not
    depend on the part that contains it.
    """

    cells: Bool[np.ndarray, "h w"]

    @cached_property
    def fading(self) -> Float32[np.ndarray, "h w"]:
        """Weights at the centres of the cells."""
        if not self.cells.any():
            return np.zeros(self.cells.shape, np.float32)
        beyond = ndimage.distance_transform_edt(~self.cells) - WHOLE_CELLS
        # Smoothstep: its slope is 0 at both ends, so that no edge shows where the blend begins or ends.
        ramp = np.clip(1 - beyond / FADING_CELLS, 0, 1)
        return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)

    def weights(self, rows: slice, cols: slice, size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
        """Compute the share of the model in each pixel: 1 on tissue, falling smoothly to 0 around it."""
        top, bottom, down = _neighbours(rows, size[0], self.cells.shape[0])
        left, right, across = _neighbours(cols, size[1], self.cells.shape[1])
        bands = _between(self.fading[top], self.fading[bottom], down[:, None])
        return _between(bands[:, left], bands[:, right], across)

    def any(self, rows: slice, cols: slice, size: tuple[int, int]) -> bool:
        """Whether some weight may be above 0; if not, the part does not need the model."""
        return bool(self._touched(rows, cols, size).max() > 0)

    def all(self, rows: slice, cols: slice, size: tuple[int, int]) -> bool:
        """Whether every weight is 1; if so, the part needs no blending."""
        return bool(self._touched(rows, cols, size).min() == 1)

    def share(self, rows: slice, cols: slice, size: tuple[int, int]) -> float:
        """Compute the share of the area that is tissue, without the fading around it."""
        down = _overlaps(rows, size[0], self.cells.shape[0])
        across = _overlaps(cols, size[1], self.cells.shape[1])
        return float(down @ self.cells @ across / (down.sum() * across.sum()))

    def save(self, path: Path) -> None:
        """Write the cells as a PNG file: white is tissue.

        Raises:
            OutputError: if the file cannot be written.
        """
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            Image.fromarray(self.cells).save(file, "PNG")

    @classmethod
    def load(cls, path: Path) -> "TissueMask":
        """Read what `save` wrote.

        Raises:
            InputError: if the file cannot be read.
        """
        return cls(read_mask(path))

    def _touched(self, rows: slice, cols: slice, size: tuple[int, int]) -> Float32[np.ndarray, "_ _"]:
        """Slice out the cells that the weights of a part are interpolated from."""
        top, bottom, _ = _neighbours(rows, size[0], self.cells.shape[0])
        left, right, _ = _neighbours(cols, size[1], self.cells.shape[1])
        return self.fading[top[0] : bottom[-1] + 1, left[0] : right[-1] + 1]


def find_tissue(slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> TissueMask:
    """Detect tissue in a rectangle of level 0.

    Raises:
        InputError: if the rectangle is empty or reaches beyond the slide, or pixels are damaged.
    """
    return TissueMask(segment(read_cells(slide, l0_xy, size_xy)))


def blend(
    model: UInt8[np.ndarray, "H W 3"],
    interpolated: UInt8[np.ndarray, "H W 3"],
    weights: Float32[np.ndarray, "H W"],
) -> UInt8[np.ndarray, "H W 3"]:
    """Mix two images: the model's pixels where the weight is 1, the interpolated ones where it is 0."""
    mixed = _between(interpolated.astype(np.float32), model.astype(np.float32), weights[..., None])
    return np.asarray(np.rint(mixed), np.uint8)


def segment(darkest: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Decide which cells are tissue, by Otsu's threshold on the optical density of their darkest spots.

    Otsu's method splits any set of values in two. The threshold is therefore kept near the density of the
    background, so that neither tissue alone nor background alone is split.

    Args:
        darkest: value of the darkest spot of each cell, 0 to 255.
    """
    density = -np.log10((darkest + 1) / 256)
    found = density > _threshold(density)
    return ~_without_small(~_without_small(found, SMALLEST_TISSUE), SMALLEST_HOLE)


def _threshold(density: Float32[np.ndarray, "h w"]) -> float:
    """Find the smallest optical density of tissue."""
    background = float(np.percentile(density, 1))
    if background > DARKEST_BACKGROUND:
        return DARKEST_BACKGROUND
    lowest, highest = (background + step for step in ABOVE_BACKGROUND)
    if density.min() == density.max():  # Otsu's method needs two values
        return lowest
    return min(max(float(threshold_otsu(density)), lowest), highest)  # type: ignore[no-untyped-call]


def _without_small(found: Bool[np.ndarray, "h w"], least: int) -> Bool[np.ndarray, "h w"]:
    """Drop patches of fewer cells, except those at the border, which may continue beyond it."""
    patches, _ = ndimage.label(found)
    stays = np.bincount(patches.ravel()) >= least
    for rim in (patches[0], patches[-1], patches[:, 0], patches[:, -1]):
        stays[rim] = True
    stays[0] = False
    return np.asarray(stays[patches], bool)


def _neighbours(
    part: slice, n_out: int, n: int
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"], Float32[np.ndarray, " p"]]:
    """Find the cells before and after the centre of each pixel, and the fraction of the way between them."""
    places = np.clip((np.arange(part.start, part.stop) + 0.5) * (n / n_out) - 0.5, 0, n - 1)
    before = places.astype(np.int64)
    return before, np.minimum(before + 1, n - 1), (places - before).astype(np.float32)


def _between(
    a: Float32[np.ndarray, "*shape"], b: Float32[np.ndarray, "*shape"], way: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "*shape"]:
    """Interpolate from a to b; exactly a at 0, exactly b at 1 for bytes, and exact where a equals b."""
    return np.asarray(a + way * (b - a), np.float32)


def _overlaps(part: slice, n_out: int, n: int) -> Float64[np.ndarray, " n"]:
    """Compute how much of each cell a part covers, in cells."""
    start, stop = part.start * n / n_out, part.stop * n / n_out
    return np.diff(np.clip(np.arange(n + 1, dtype=np.float64), start, stop))
