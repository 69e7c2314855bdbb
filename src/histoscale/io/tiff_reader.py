"""TIFF and OME-TIFF as slides: levels in SubIFDs or in pages of their own, read piece by piece."""

import logging
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.io.decoding import decoding, start_of
from histoscale.io.metadata import OmeDocument, parse_ome
from histoscale.io.slide import Description, Pixels, Slide
from histoscale.io.tiff_metadata import describe_tiff
from histoscale.io.tiff_page import DecodedChunks, TiffPageReader
from histoscale.io.tiff_structure import MOST_IMAGES, TIFF_MAGIC, count_images, images_of

BYTES_PER_PX = 9
"""Memory for a pixel of RGB: as decoded, in eight bits, and what is made of it."""
MOST_PLANES = 10_000
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its warnings would reach the terminal


def is_tiff(_path: Path, file: BinaryIO | None) -> bool:
    """Whether a file starts as TIFF does."""
    return file is not None and start_of(file).startswith(TIFF_MAGIC)


class TiffSlide(Slide):
    """RGB, grey and palettes; a tile that the file leaves out is white.

    Args:
        file: the opened file, which the slide closes.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        if count_images(file) > MOST_IMAGES:  # tifffile would list them all
            raise InputError(
                f"{path} is not supported: it holds more than {MOST_IMAGES} images, and only files with one "
                "image are read."
            )
        with decoding(path):
            # OME-XML may name further files, which are not opened: the slide is the file that was given.
            self._tiff = tifffile.TiffFile(file, name=path.name, _multifile=False)
            self._tiff.filehandle.set_lock(True)
            self.description = self._describe(path, os.fstat(file.fileno()).st_size)

    def _describe(self, path: Path, length: int) -> Description:
        """Read the header and prepare the pages for reading, unless the file is refused."""
        document = parse_ome(self._tiff.ome_metadata or "") if self._tiff.is_ome else None
        _refuse_many_planes(path, document)
        if not any(series.keyframe is not None for series in self._tiff.series):
            raise InputError(f"{path} is a TIFF file without an image in it, or cut off before that.")
        images = images_of(self._tiff, document)
        damage = None
        for page in (*images.levels, *images.associated.values()):
            damage = damage or _beyond_the_end(page, length)
        self._chunks = DecodedChunks()
        self._levels = [TiffPageReader(page, path, self._chunks) for page in images.levels]
        self._associated = {
            name: TiffPageReader(page, path, self._chunks) for name, page in images.associated.items()
        }
        return describe_tiff(path, self._tiff, images, document, damage)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        with decoding(self.description.path, place):
            return self._levels[level].rgb(level_xy, size_xy)

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        size_xy = size_xy or self.levels_xy[0]
        place = self._place(0, l0_xy, size_xy)
        self._ensure_memory(BYTES_PER_PX, size_xy)
        with decoding(self.description.path, place if size_xy != self.levels_xy[0] else None):
            return self._levels[0].pixels(l0_xy, size_xy)

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        page = self._associated.get(name)
        if page is None:
            raise self._refuse_associated(name)
        with decoding(self.description.path, f"its associated image {name!r}"):
            return page.rgb((0, 0), page.size_xy)

    def close(self) -> None:
        self._tiff.close()
        self._file.close()


def _refuse_many_planes(path: Path, document: OmeDocument | None) -> None:
    """Raise `InputError` for a number of planes for which tifffile would make a list of gigabytes."""
    for image in document.images if document else ():
        planes = image.sizes["Z"] * image.sizes["C"] * image.sizes["T"]
        if planes > MOST_PLANES:
            raise InputError(
                f"{path} is not supported: its OME-XML counts {planes} planes, and only files with one image "
                "are read."
            )


def _beyond_the_end(page: tifffile.TiffPage, length: int) -> str | None:
    """Why a file of ``length`` bytes is refused if its index of tiles points beyond them; else None."""
    ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
    if max(ends, default=0) <= length:
        return None
    return f"is damaged or incomplete: its index points beyond its {length} bytes"
