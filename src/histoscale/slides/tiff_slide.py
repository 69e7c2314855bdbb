"""TIFF and OME-TIFF as slides: levels in SubIFDs or in pages of their own, read tile by tile."""

from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.slides.damage import decoding
from histoscale.slides.samples import over_white
from histoscale.slides.slide import Slide
from histoscale.slides.tiff_layout import (
    associated_pages,
    description_of,
    has_alpha,
    level_pages,
    orientation_of,
    photometric_of,
)
from histoscale.slides.tiff_reader import ASSOCIATED_ALPHA, opened, refuse_truncated
from histoscale.slides.tiff_segments import CACHE_BYTES, SegmentFile, read_samples, segment_bytes


class TiffSlide(Slide):
    """Pages of RGB or grey in eight bits; a tile that the file leaves out is white.

    Raises:
        InputError: if the file is damaged, or of a kind that is refused.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as tiff:
            self.description = description_of(path, tiff)
            if self.description.refusal:
                raise InputError(f"{path} {self.description.refusal}.")
            with decoding(path):
                self._levels = level_pages(tiff)
                self._associated = associated_pages(tiff)
                for page in (*self._levels, *self._associated.values()):
                    refuse_truncated(path, page)
                    prepare(page)
        self._file = SegmentFile(path)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        with decoding(self.description.path, place):
            return read_rgb(self._file, self._levels[level], level_xy, size_xy)

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        path, page = self.description.path, self._associated.get(name)
        if page is None:
            raise InputError(f"{path} has no associated image {name!r}.")
        with decoding(path, f"its associated image {name!r}"):
            return read_rgb(self._file, page, (0, 0), (page.imagewidth, page.imagelength))

    def close(self) -> None:
        self._file.close()


def is_streamed(path: Path) -> bool:
    """Whether all levels of a TIFF file are of the kind that `TiffSlide` reads.

    Palettes, 16 bits and turned pictures are not, nor is a large picture compressed in one piece.

    Raises:
        InputError: if the file is damaged.
    """
    with opened(path) as tiff, decoding(path):
        return all(map(_is_plain, level_pages(tiff)))


def _is_plain(page: tifffile.TiffPage) -> bool:
    colours = ("RGB", "YCBCR", "MINISBLACK", "MINISWHITE")
    is_eight_bits = page.bitspersample == 8 and page.dtype == np.uint8
    is_cut = page.is_memmappable or segment_bytes(page) <= CACHE_BYTES
    return is_eight_bits and is_cut and photometric_of(page) in colours and orientation_of(page) == 1


def prepare(page: tifffile.TiffPage) -> None:
    """Let a page load what it would look for in the file when a tile is first wanted, which closes before."""
    _ = page.dataoffsets, page.databytecounts, page.jpegtables, page.jpegheader, page.decode
    _ = page.is_memmappable


def read_rgb(
    file: SegmentFile, page: tifffile.TiffPage, xy: tuple[int, int], size_xy: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """A rectangle of a page, over white where it is transparent."""
    is_white_zero = photometric_of(page) == "MINISWHITE"
    samples = read_samples(file, page, xy, size_xy, missing=0 if is_white_zero else 255)
    if has_alpha(page):
        colour, alpha = samples[..., :-1], samples[..., -1]
        if page.extrasamples[0] == ASSOCIATED_ALPHA:  # multiplied by its opacity already
            samples = colour + np.minimum(255 - alpha[..., None], 255 - colour)
        else:
            samples = over_white(colour, alpha)
    if is_white_zero:
        samples = 255 - samples
    return np.ascontiguousarray(np.broadcast_to(samples, (*samples.shape[:2], 3)))
