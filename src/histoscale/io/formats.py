"""Open any image or slide: the first reader that knows the content takes it; names do not decide.

A new format is a file beside this one and a row of `READERS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from histoscale.errors import InputError
from histoscale.io.decoding import is_folder, open_file, start_of
from histoscale.io.dicom_header import is_dicom, series_in
from histoscale.io.image_reader import ImageSlide, is_image
from histoscale.io.openslide_reader import SLIDE_SUFFIXES, OpenSlideSlide, is_slide
from histoscale.io.slide import Description, Mpp, Pixels, Slide
from histoscale.io.tiff_reader import TiffSlide, is_tiff
from histoscale.io.zarr_reader import ZarrSlide, is_zarr


class Reader(NamedTuple):
    """One way to read files.

    Attributes:
        suffixes: of names that promise such a file. In a folder, a file with one of them that no reader knows
            is damaged, while other unknown files are left out.
        knows: whether it reads a path, given the opened file, or None for a folder.
        open: opens what it knows; the slide then closes the file.
    """

    suffixes: tuple[str, ...]
    knows: Callable[[Path, BinaryIO | None], bool]
    open: Callable[[Path, Any], Slide]


READERS = (
    Reader((), is_zarr, ZarrSlide),
    Reader(SLIDE_SUFFIXES, is_slide, OpenSlideSlide),
    Reader((".tif", ".tiff"), is_tiff, TiffSlide),
    Reader((".png", ".jpg", ".jpeg", ".webp", ".bmp"), is_image, ImageSlide),
)
"""The first that knows a path opens it."""


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
        mpp: micrometres per pixel, if given; they replace what the file says.

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
    if not path.is_dir():
        return False
    if is_zarr(path):
        return True
    others = (
        other for other in _others_in(path) if other.suffix.lower() != ".dcm"
    )  # a damaged one may be there
    return len(series_in(path)) == 1 and not any(others)


def is_slide_file(path: Path) -> bool:
    """Whether a file is a slide by a scanner, in DICOM or in TIFF, and not an image that is decoded whole."""
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return True
    try:
        with open_file(path) as file:
            return is_slide(path, file) or is_tiff(path, file)
    except InputError:
        return False


def slides_in(folder: Path) -> Iterator[Path]:
    """Yield the images and slides in a folder by their content: files, Zarr and DICOM folders, DICOM series.

    Folders within it are not searched, and hidden files are left out.
    """
    yield from sorted([*series_in(folder).values(), *_others_in(folder)])


def _others_in(folder: Path) -> Iterator[Path]:
    """Images and slides that are not files of a DICOM series."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if is_slide_folder(path) or path.suffix.lower() == ".zarr":
                yield path
        elif path.is_file() and _is_image_or_slide(path):
            yield path


def _is_image_or_slide(path: Path) -> bool:
    """Whether a reader knows a file that is not DICOM, or its name promises that one does."""
    try:
        with open_file(path) as file:
            if is_dicom(file):
                return False
            promises = any(path.suffix.lower() in reader.suffixes for reader in READERS)
            return promises or any(reader.knows(path, file) for reader in READERS)
    except InputError:  # a file that may not be read, or a slide whose parts are missing: opening it says so
        return True


def _opened(path: Path) -> Slide:
    """Open a path by the first reader that knows it, even if its kind is refused."""
    file = None if is_folder(path) else open_file(path)
    try:
        if file is not None and not start_of(file):
            raise InputError(f"{path} is empty.")
        for reader in READERS:
            if reader.knows(path, file):
                return reader.open(path, file)
        if file is None:
            raise InputError(f"{path} is a folder, and neither OME-Zarr nor one DICOM slide.")
        raise InputError(
            f"{path} is not an image or slide of a known format: give PNG, JPEG, TIFF, WebP, BMP, "
            "OME-Zarr, DICOM or a slide that OpenSlide reads."
        )
    except BaseException:
        if file is not None:
            file.close()
        raise
