"""Where tissue is and where glass, in cells of about 16 um, found or read from a file.

It errs towards tissue: ink, dust and shadows count as tissue and cost time, while tissue taken for glass
would cost detail.
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

# A rectangle at a glance: the darkest spot in each cell of about 16 um, read in bounded memory.


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


DARKEST_GLASS = 0.08
"""Optical density; where even the lightest places are darker, there is tissue alone."""
CLEAR_OF_GLASS = 0.03, 0.05
"""How far above the glass the threshold lies: at least, so that uneven light is not tissue, and at most, so
that pale stroma beside dark nuclei is."""
SMALLEST_TISSUE, SMALLEST_HOLE = 4, 64
"""Cells; less is dust, or a gap within tissue."""
WHOLE_CELLS, FADING_CELLS = math.sqrt(2), 2.0
"""Weights are 1 up to a diagonal neighbour of tissue, so that interpolated ones are 1 everywhere on tissue
and a little around it; then they fall to 0 over so many cells."""


@dataclass(frozen=True)
class TissueMask:
    """Which cells of a rectangle hold tissue.

    **Convention.** The cells share out the rectangle evenly. Questions are about ``rows`` and ``cols`` of a
    picture of ``size`` (height, width) that covers the same rectangle at whatever resolution; the answer for
    a pixel does not depend on the part it was asked with.
    """

    cells: Bool[np.ndarray, "h w"]

    @cached_property
    def fading(self) -> Float32[np.ndarray, "h w"]:
        """Weights at the cells' centres."""
        if not self.cells.any():
            return np.zeros(self.cells.shape, np.float32)
        beyond = ndimage.distance_transform_edt(~self.cells) - WHOLE_CELLS
        ramp = np.clip(1 - beyond / FADING_CELLS, 0, 1)
        return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)

    def weights(self, rows: slice, cols: slice, size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
        """How much of the model each pixel gets: 1 on tissue, falling smoothly to 0 around it."""
        top, bottom, down = _neighbours(rows, size[0], self.cells.shape[0])
        left, right, across = _neighbours(cols, size[1], self.cells.shape[1])
        bands = _between(self.fading[top], self.fading[bottom], down[:, None])
        return _between(bands[:, left], bands[:, right], across)

    def any(self, rows: slice, cols: slice, size: tuple[int, int]) -> bool:
        """Whether some weight may be above 0; if not, the model has nothing to do there."""
        return bool(self._touched(rows, cols, size).max() > 0)

    def all(self, rows: slice, cols: slice, size: tuple[int, int]) -> bool:
        """Whether every weight is 1; if so, there is nothing to blend."""
        return bool(self._touched(rows, cols, size).min() == 1)

    def share(self, rows: slice, cols: slice, size: tuple[int, int]) -> float:
        """The share of the area that is tissue, the fading around it left out."""
        down = _overlaps(rows, size[0], self.cells.shape[0])
        across = _overlaps(cols, size[1], self.cells.shape[1])
        return float(down @ self.cells @ across / (down.sum() * across.sum()))

    def save(self, path: Path) -> None:
        """Write the cells as a PNG, white on black.

        Raises:
            OutputError: if the file cannot be written.
        """
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            Image.fromarray(self.cells).save(file, "PNG")

    @classmethod
    def load(cls, path: Path) -> "TissueMask":
        """What `save` wrote.

        Raises:
            InputError: if the file cannot be read.
        """
        return cls(read_mask(path))

    def _touched(self, rows: slice, cols: slice, size: tuple[int, int]) -> Float32[np.ndarray, "_ _"]:
        """The cells that the weights of a part are interpolated from."""
        top, bottom, _ = _neighbours(rows, size[0], self.cells.shape[0])
        left, right, _ = _neighbours(cols, size[1], self.cells.shape[1])
        return self.fading[top[0] : bottom[-1] + 1, left[0] : right[-1] + 1]


def find_tissue(slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> TissueMask:
    """Look for tissue in a rectangle of level 0.

    Raises:
        InputError: if the rectangle is empty or reaches beyond the slide, or pixels are damaged.
    """
    return TissueMask(segment(read_cells(slide, l0_xy, size_xy)))


def read_tissue(path: Path, slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> TissueMask:
    """A rectangle's part of a mask that somebody drew, true to within a cell.

    Args:
        path: a PNG or TIFF, not 0 on tissue, stretched over the whole slide.

    Raises:
        InputError: if the file cannot be read, or has not the proportions of the slide.
    """
    drawn = read_mask(path)
    _check_proportions(path, drawn.shape, slide.levels_xy[0])
    for axis, n in enumerate(grid_of(slide, size_xy)):
        xy = 1 - axis
        step = drawn.shape[axis] / slide.levels_xy[0][xy]
        edges = (l0_xy[xy] + np.linspace(0, size_xy[xy], n + 1)) * step
        inside = drawn.take(range(math.ceil(edges[-1])), axis)
        drawn = np.logical_or.reduceat(inside, edges[:-1].astype(np.intp), axis)
    return TissueMask(drawn)


def blend(
    model: UInt8[np.ndarray, "H W 3"], cheap: UInt8[np.ndarray, "H W 3"], weights: Float32[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H W 3"]:
    """The model's pixels where the weight is 1, the cheap ones where it is 0, a mixture between."""
    mixed = _between(cheap.astype(np.float32), model.astype(np.float32), weights[..., None])
    return np.asarray(np.rint(mixed), np.uint8)


def segment(darkest: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Tissue among cells with darkest spots of the given values, by Otsu's threshold on the optical density.

    Otsu splits whatever it is given; held near the glass it splits neither tissue alone nor glass alone.
    """
    density = -np.log10((darkest + 1) / 256)
    found = density > _threshold(density)
    return ~_without_small(~_without_small(found, SMALLEST_TISSUE), SMALLEST_HOLE)


def _threshold(density: Float32[np.ndarray, "h w"]) -> float:
    """Where tissue begins, in optical density."""
    glass = float(np.percentile(density, 1))
    if glass > DARKEST_GLASS:
        return DARKEST_GLASS
    lowest, highest = (glass + step for step in CLEAR_OF_GLASS)
    if density.min() == density.max():  # of which Otsu makes no two classes
        return lowest
    return min(max(float(threshold_otsu(density)), lowest), highest)  # type: ignore[no-untyped-call]


def _without_small(found: Bool[np.ndarray, "h w"], least: int) -> Bool[np.ndarray, "h w"]:
    """Only the patches of at least so many cells; those at the rim may go on beyond it and stay."""
    patches, _ = ndimage.label(found)
    stays = np.bincount(patches.ravel()) >= least
    for rim in (patches[0], patches[-1], patches[:, 0], patches[:, -1]):
        stays[rim] = True
    stays[0] = False
    return np.asarray(stays[patches], bool)


def _check_proportions(path: Path, drawn: tuple[int, ...], whole_xy: tuple[int, int]) -> None:
    height, width = drawn
    tolerance = 1 / min(height, width) + 0.01  # thumbnails are rounded to whole pixels
    if abs(math.log(width / height * whole_xy[1] / whole_xy[0])) > tolerance:
        raise InputError(
            f"Wanted a tissue mask of the whole slide, {whole_xy[0]} x {whole_xy[1]} pixels or less in the "
            f"same proportions, but {path} is {width} x {height}."
        )


def _neighbours(
    part: slice, n_out: int, n: int
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"], Float32[np.ndarray, " p"]]:
    """The cells before and behind each pixel's centre, and the share of the way from one to the other."""
    places = np.clip((np.arange(part.start, part.stop) + 0.5) * (n / n_out) - 0.5, 0, n - 1)
    before = places.astype(np.int64)
    return before, np.minimum(before + 1, n - 1), (places - before).astype(np.float32)


def _between(
    a: Float32[np.ndarray, "*shape"], b: Float32[np.ndarray, "*shape"], way: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "*shape"]:
    """From a to b: exactly a at 0, b at 1 for bytes, and either where the two are equal."""
    return np.asarray(a + way * (b - a), np.float32)


def _overlaps(part: slice, n_out: int, n: int) -> Float64[np.ndarray, " n"]:
    """How much of each cell a part covers."""
    start, stop = part.start * n / n_out, part.stop * n / n_out
    return np.diff(np.clip(np.arange(n + 1, dtype=np.float64), start, stop))
