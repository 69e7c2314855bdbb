"""Choose sub-images of a slide, on a grid or at random, and read their pixels at a resolution."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from histoscale.errors import DataError, InputError, ScaleError
from histoscale.io.slide import Mpp, Slide
from histoscale.io.tissue import TissueMask
from histoscale.resources import ensure_memory

SAME_MPP = 0.03
"""A resolution that differs from the slide's by at most this share counts as equal, because scanners deviate
from their nominal resolution by about as much."""
TRIES = 200
"""Number of random places to try per sub-image."""
CUBIC_RADIUS = 2
"""Pixels that the cubic kernel reaches on each side."""


@dataclass(frozen=True)
class Frame:
    """A slide at the resolution of the sub-images; their positions and sizes are in its pixels.

    Attributes:
        size_xy: size of the whole slide.
        mpp: micrometres per pixel; None if unknown, and then the frame is level 0.
    """

    size_xy: tuple[int, int]
    mpp: Mpp | None


@dataclass(frozen=True)
class Cut:
    """A sub-image: the slide's name, its upper left pixel and size in the frame, and its share of tissue."""

    slide: str
    xy: tuple[int, int]
    size_xy: tuple[int, int]
    tissue: float

    @property
    def id(self) -> str:
        """Name of the sub-image, unique within the data set."""
        return f"{self.slide}_{self.xy[0]}_{self.xy[1]}"


def frame_of(slide: Slide, mpp: float | None = None, source_mpp: float | None = None) -> Frame:
    """Return the slide at its own or at a coarser resolution.

    Args:
        slide: the slide.
        mpp: micrometres per pixel of the sub-images. Default: those of the slide.
        source_mpp: micrometres per pixel of level 0, if the slide does not state them.

    Raises:
        InputError: if ``mpp`` is given and the resolution of the slide is unknown.
        ScaleError: if the slide is coarser than ``mpp``: training needs scanned, not interpolated pixels.
    """
    path, whole_xy = slide.description.path, slide.levels_xy[0]
    own = Mpp(source_mpp, source_mpp) if source_mpp else slide.description.mpp
    if mpp is None:
        return Frame(whole_xy, own)
    if own is None:
        raise InputError(f"{path} does not state its micrometres per pixel: give --source-mpp.")
    # Nearly the requested resolution: cut the scanned pixels without resampling.
    if all(abs(side / mpp - 1) <= SAME_MPP for side in own):
        return Frame(whole_xy, own)
    if max(own) > mpp:
        raise ScaleError(
            f"{path} has {max(own):.4g} um per pixel, which is coarser than {mpp:g}: give a larger --mpp."
        )
    # Whole pixels at the requested resolution; the exact resolution follows from their number.
    across, down = (max(int(n * side / mpp), 1) for n, side in zip(whole_xy, own, strict=True))
    return Frame((across, down), Mpp(own.x * whole_xy[0] / across, own.y * whole_xy[1] / down))


def grid_cuts(name: str, frame: Frame, mask: TissueMask, side_px: int | None, least: float) -> list[Cut]:
    """Return adjacent sub-images from the upper left corner on, all inside the slide.

    Args:
        name: name of the slide.
        frame: the slide at the resolution of the sub-images.
        mask: its tissue.
        side_px: side of a sub-image; None for one sub-image of the whole slide.
        least: smallest share of tissue of a sub-image, 0 to 1.
    """
    width, height = (side_px, side_px) if side_px else frame.size_xy
    across, down = frame.size_xy
    places = (
        (left, top)
        for top in range(0, down - height + 1, height)
        for left in range(0, across - width + 1, width)
    )
    cuts = (_cut(name, frame, mask, xy, (width, height)) for xy in places)
    return [cut for cut in cuts if cut.tissue >= least]


def random_cuts(
    name: str, frame: Frame, mask: TissueMask, side_px: int, least: float, count: int, seed: int
) -> list[Cut]:
    """Draw random sub-images, which may overlap but have different places.

    They do not depend on the other slides of the data set. Arguments as in `grid_cuts`.

    Args:
        count: number of sub-images.
        seed: seed of the random numbers.

    Raises:
        DataError: if the slide is smaller than a sub-image, or too few sub-images were found.
    """
    # The name of the slide is part of the seed, so each slide has its own sequence.
    found: dict[tuple[int, int], Cut] = {}
    for xy in _random_places(frame, side_px, count * TRIES, (seed, *name.encode())):
        cut = _cut(name, frame, mask, xy, (side_px, side_px))
        if cut.tissue >= least:
            found[xy] = cut
        if len(found) == count:
            return list(found.values())
    across, down = frame.size_xy
    raise DataError(
        f"{name} ({across} x {down} px) has too little tissue: expected {count} random sub-images of "
        f"{side_px} px with at least {least:.0%} of tissue, found {len(found)}. Give a smaller "
        "--random-crops, --size or --tissue."
    )


def read_cut(slide: Slide, frame: Frame, cut: Cut) -> UInt8[np.ndarray, "h w 3"]:
    """Read the pixels of a sub-image, downsampled by antialiased bicubic interpolation if necessary.

    Raises:
        InputError: if pixels are damaged, or the sub-image is larger than memory.
    """
    # The coarsest level that is at least as fine as the frame.
    factors = (n / n_frame for n, n_frame in zip(slide.levels_xy[0], frame.size_xy, strict=True))
    level = slide.best_level(min(factors))
    sides_xy = slide.levels_xy[level]
    x, y = (_stretch(*axis) for axis in zip(cut.xy, cut.size_xy, sides_xy, frame.size_xy, strict=True))
    size_xy = x.stop - x.start, y.stop - y.start
    too_large = f"A sub-image of {slide.description.path} is too large"
    ensure_memory(8 * size_xy[0] * size_xy[1], InputError, too_large)
    pixels = slide.read_region(level, (x.start, y.start), size_xy)
    if sides_xy == frame.size_xy:
        return pixels
    # Resample exactly the sub-image; the margin gives the kernel its pixels outside.
    box = x.low, y.low, x.high, y.high
    return np.asarray(Image.fromarray(pixels).resize(cut.size_xy, Image.Resampling.BICUBIC, box))


class Stretch(NamedTuple):
    """Pixels of a level to read along one axis, and the edges of the sub-image relative to the first."""

    start: int
    stop: int
    low: float
    high: float


def _stretch(first: int, n: int, level_px: int, frame_px: int) -> Stretch:
    """Find the pixels of a level for ``n`` pixels of the frame, and the pixels the cubic kernel adds."""
    # Level pixels per frame pixel.
    step = level_px / frame_px
    margin = 0 if step == 1 else math.ceil(CUBIC_RADIUS * max(step, 1))
    start = max(math.floor(first * step) - margin, 0)
    stop = min(math.ceil((first + n) * step) + margin, level_px)
    return Stretch(start, stop, first * step - start, min((first + n) * step, stop) - start)


def _cut(name: str, frame: Frame, mask: TissueMask, xy: tuple[int, int], size_xy: tuple[int, int]) -> Cut:
    """Describe a sub-image and its share of tissue."""
    rows, cols = slice(xy[1], xy[1] + size_xy[1]), slice(xy[0], xy[0] + size_xy[0])
    share = mask.share(rows, cols, (frame.size_xy[1], frame.size_xy[0]))
    return Cut(name, xy, size_xy, round(share, 6))  # a sum of floats may be just below 1


def _random_places(
    frame: Frame, side_px: int, tries: int, seed: tuple[int, ...]
) -> Iterator[tuple[int, int]]:
    """Yield random upper left pixels of sub-images inside the slide."""
    across, down = (n - side_px + 1 for n in frame.size_xy)
    rng = np.random.default_rng(seed)
    for _ in range(tries if min(across, down) > 0 else 0):
        yield int(rng.integers(across)), int(rng.integers(down))
