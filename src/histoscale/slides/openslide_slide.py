"""Slides of the makers that OpenSlide knows, read piece by piece."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.slides.damage import decoding
from histoscale.slides.slide import Slide
from histoscale.slides.slide_reader import description_of, on_white

BLOCK_PX = 512
"""Side of the blocks in which levels are read whose pixels do not lie on pixels of level 0."""


class OpenSlideSlide(Slide):
    """A slide opened by OpenSlide, whose own frame and bounds are kept.

    OpenSlide takes positions in whole pixels of level 0. Where a level's downsample is no whole number, a
    position of the level lies between two of them and OpenSlide interpolates, by a fraction that depends on
    the corner of the rectangle. Such a level is therefore cut into fixed blocks of `BLOCK_PX`, and a pixel is
    always read with the same block: the same in every rectangle, and out of place by a quarter of it at most.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        with decoding(path):
            self._slide = openslide.OpenSlide(path)
            self.description = description_of(path, self._slide)
            self._downsamples = self._slide.level_downsamples

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        (x, y), (width, height) = level_xy, size_xy
        with decoding(self.description.path, place):
            if self._downsamples[level].is_integer():
                return self._pixels(level, level_xy, size_xy)
            region = np.empty((height, width, 3), np.uint8)
            for left, top in _blocks(level_xy, size_xy):
                across, down = self.levels_xy[level]
                size = min(BLOCK_PX, across - left), min(BLOCK_PX, down - top)
                block = self._pixels(level, (left, top), size)
                inside = block[max(y - top, 0) : y + height - top, max(x - left, 0) : x + width - left]
                row, column = max(top - y, 0), max(left - x, 0)
                region[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
            return region

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        path = self.description.path
        if name not in self.description.associated:
            raise InputError(f"{path} has no associated image {name!r}.")
        with decoding(path, f"its associated image {name!r}"), openslide.OpenSlide(path) as own:
            return on_white(own.associated_images[name])

    def close(self) -> None:
        self._slide.close()

    def _pixels(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """One call of OpenSlide, which answers nobody any more after an error, be it another thread's."""
        (x, y), downsample, path = level_xy, self._downsamples[level], self.description.path
        l0_xy = round(x * downsample), round(y * downsample)
        try:
            return on_white(self._slide.read_region(l0_xy, level, size_xy))
        except openslide.OpenSlideError:
            self._slide = openslide.OpenSlide(path)
        with openslide.OpenSlide(path) as own:  # what fails here is damaged
            return on_white(own.read_region(l0_xy, level, size_xy))


def _blocks(level_xy: tuple[int, int], size_xy: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Corners (x, y) of the fixed blocks that a rectangle touches."""
    (x, y), (width, height) = level_xy, size_xy
    for top in range(y - y % BLOCK_PX, y + height, BLOCK_PX):
        for left in range(x - x % BLOCK_PX, x + width, BLOCK_PX):
            yield left, top
