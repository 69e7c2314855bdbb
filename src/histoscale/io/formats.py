"""Any file that holds tissue: which reader takes it is decided by its content, not by its name.

A new format is a file beside this one and a row of `READERS`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import InputError
from histoscale.io import image_reader, openslide_reader, tiff_reader, zarr_reader
from histoscale.io.decoding import is_folder, open_file
from histoscale.io.image_reader import ImageSlide
from histoscale.io.openslide_reader import OpenSlideSlide
from histoscale.io.slide import Description, Mpp, Pixels, Slide
from histoscale.io.tiff_reader import TiffSlide
from histoscale.io.zarr_reader import ZarrSlide

START_BYTES = 16
"""How much of a file the readers are shown."""


class Reader(NamedTuple):
    """One way to read files.

    Attributes:
        suffixes: how names of such files end; asked only where a folder is searched for files.
        locate: called with a path and the first bytes of the file, none of a folder; gives the path to open
            if the reader takes it: a slide that is a folder may be named by a file in it, and the reverse.
        open: opens what ``locate`` gave.
    """

    suffixes: tuple[str, ...]
    locate: Callable[[Path, bytes], Path | None]
    open: Callable[[Path], Slide]


READERS = (
    Reader((), zarr_reader.locate, ZarrSlide),
    Reader(openslide_reader.SUFFIXES, openslide_reader.locate, OpenSlideSlide),
    Reader((".tif", ".tiff"), tiff_reader.locate, TiffSlide),
    Reader((".png", ".jpg", ".jpeg", ".webp", ".bmp"), image_reader.locate, ImageSlide),
)
"""The first that takes a path wins."""
SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.suffixes)


def describe(path: Path) -> Description:
    """Say what a file is, from its header.

    Raises:
        InputError: if it is missing, damaged or of an unknown kind.
    """
    with _opened(path) as slide:
        return slide.description


def read(path: Path) -> Pixels:
    """Read the full-resolution pixels of a file.

    Raises:
        InputError: if it is missing, damaged, of an unknown or refused kind, or larger than memory.
    """
    with open_slide(path) as slide:
        return slide.read_pixels()


def open_slide(path: Path, mpp: Mpp | None = None) -> Slide:
    """Open a file of any known kind, to be read piece by piece; close it, or use it in a ``with`` block.

    Args:
        mpp: micrometres per pixel that the person knows; goes before what the file says.

    Raises:
        InputError: if it is missing, damaged, or of an unknown or refused kind.
    """
    slide = _opened(path)
    if slide.description.refusal:
        slide.close()
        raise InputError(f"{path} {slide.description.refusal}.")
    if mpp is not None:
        slide.description = replace(slide.description, mpp=mpp)
    return slide


def is_slide_folder(path: Path) -> bool:
    """Whether a folder is one slide, OME-Zarr or DICOM, and not a folder of images."""
    return path.is_dir() and (zarr_reader.is_zarr(path) or openslide_reader.is_dicom_folder(path))


def _opened(path: Path) -> Slide:
    """The file by the first reader that takes it, be its kind refused or not."""
    start = b"" if is_folder(path) else _start_of(path)
    for reader in READERS:
        found = reader.locate(path, start)
        if found is not None:
            return reader.open(found)
    if not start:
        raise InputError(f"{path} is a folder, and neither OME-Zarr nor a DICOM slide.")
    raise InputError(
        f"{path} is not an image or slide of a known format (PNG, JPEG, TIFF, WebP, OpenSlide's)."
    )


def _start_of(path: Path) -> bytes:
    """The first bytes of a file."""
    with open_file(path) as file:
        start = file.read(START_BYTES)
    if not start:
        raise InputError(f"{path} is empty.")
    return start
