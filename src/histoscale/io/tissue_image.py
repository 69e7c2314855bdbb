"""Tissue drawn by hand: a mask image over a slide, read for a rectangle of it."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from histoscale.errors import InputError
from histoscale.io.image_reader import read_mask
from histoscale.io.slide import Slide
from histoscale.io.tissue import TissueMask, grid_of


def read_tissue(path: Path, slide: Slide, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> TissueMask:
    """Read the part of a drawn mask that covers a rectangle, with an error of one cell at most.

    Args:
        path: a PNG or TIFF file over the whole slide, or over its bounds as QuPath shows them; its pixels are
            not 0 on tissue.

    Raises:
        InputError: if the file cannot be read, or has neither the proportions of the slide nor of its bounds.
    """
    drawn = _over_the_slide(path, read_mask(path), slide)
    # Axis by axis, a cell is tissue if any pixel of the mask that it overlaps is.
    for axis, n in enumerate(grid_of(slide, size_xy)):
        xy = 1 - axis
        step = drawn.shape[axis] / slide.levels_xy[0][xy]
        edges = (l0_xy[xy] + np.linspace(0, size_xy[xy], n + 1)) * step
        inside = drawn.take(range(math.ceil(edges[-1])), axis)
        drawn = np.logical_or.reduceat(inside, edges[:-1].astype(np.intp), axis)
    return TissueMask(drawn)


def _over_the_slide(path: Path, drawn: Bool[np.ndarray, "h w"], slide: Slide) -> Bool[np.ndarray, "H W"]:
    """Return a mask as it is if it covers the slide; extend it if it covers the bounds.

    Raises:
        InputError: if it has the proportions of neither.
    """
    whole_xy, bounds_xy = slide.levels_xy[0], slide.description.bounds_size_xy
    if _has_proportions(drawn.shape, whole_xy):
        return drawn
    if bounds_xy is None or not _has_proportions(drawn.shape, bounds_xy):
        raise InputError(
            f"{path} has {drawn.shape[1]} x {drawn.shape[0]} px, other proportions than the slide of "
            f"{whole_xy[0]} x {whole_xy[1]} px: a tissue mask must cover the whole slide."
        )
    margins = []
    for axis, xy in ((0, 1), (1, 0)):
        step = drawn.shape[axis] / bounds_xy[xy]  # pixels of the mask per pixel of level 0
        before = round(slide.description.bounds_xy[xy] * step)
        margins.append((before, max(round(whole_xy[xy] * step) - before - drawn.shape[axis], 0)))
    return np.pad(drawn, margins)


def _has_proportions(shape: tuple[int, ...], size_xy: tuple[int, int]) -> bool:
    """Whether a mask has the proportions of a size, except for rounding to whole pixels."""
    height, width = shape
    tolerance = 1 / min(height, width) + 0.01
    return abs(math.log(width / height * size_xy[1] / size_xy[0])) <= tolerance
