"""A picture in memory as a slide of one level."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.slides.description import Picture
from histoscale.slides.samples import over_white
from histoscale.slides.slide import Slide


class PictureSlide(Slide):
    """PNG, JPEG and their like, and TIFF of the rarer kinds; grey becomes three equal channels.

    Args:
        picture: what is transparent in it becomes white.
    """

    def __init__(self, picture: Picture) -> None:
        # in memory is the full resolution alone, whatever lower levels the file has
        self.description = replace(picture.description, levels_xy=picture.description.levels_xy[:1])
        self._pixels = over_white(picture.pixels, picture.alpha)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        self._place(level, level_xy, size_xy)
        (x, y), (width, height) = level_xy, size_xy
        colours = self._pixels[y : y + height, x : x + width]
        return np.ascontiguousarray(np.broadcast_to(colours, (height, width, 3)))

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        raise InputError(f"{self.description.path} has no associated image {name!r}.")

    def close(self) -> None:
        """Nothing is held but memory."""
