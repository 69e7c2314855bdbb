"""Any file that holds tissue: which of the readers takes it is decided by its content, not by its name."""

from pathlib import Path

from histoscale.errors import InputError
from histoscale.slides.description import Description, Picture
from histoscale.slides.openslide_slide import OpenSlideSlide
from histoscale.slides.picture_reader import describe_picture, read_picture
from histoscale.slides.picture_slide import PictureSlide
from histoscale.slides.slide import Slide
from histoscale.slides.slide_reader import describe_slide, read_slide, vendor_of
from histoscale.slides.tiff_reader import describe_tiff, read_tiff
from histoscale.slides.tiff_slide import TiffSlide, is_streamed

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PICTURE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM")


def describe(path: Path) -> Description:
    """What a file is, from its header.

    Raises:
        InputError: if it is missing, damaged or of an unknown kind.
    """
    kind = _kind(path)
    if kind == "slide":
        return describe_slide(path)
    return describe_tiff(path) if kind == "tiff" else describe_picture(path)


def read(path: Path) -> Picture:
    """The full-resolution pixels of a file.

    Raises:
        InputError: if it is missing, damaged, of an unknown or refused kind, or larger than memory.
    """
    kind = _kind(path)
    if kind == "slide":
        return read_slide(path)
    return read_tiff(path) if kind == "tiff" else read_picture(path)


def open_slide(path: Path) -> Slide:
    """A file of any known kind, to be read piece by piece; close it, or use it in a ``with`` block.

    Raises:
        InputError: if it is missing, damaged, or of an unknown or refused kind.
    """
    kind = _kind(path)
    if kind == "slide":
        return OpenSlideSlide(path)
    if kind == "tiff" and is_streamed(path):
        return TiffSlide(path)
    return PictureSlide(read(path))


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a picture.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if not start:
        raise InputError(f"{path} is empty.")
    if not start.startswith(b"\x89PNG") and vendor_of(path):
        return "slide"
    if start.startswith(TIFF_MAGIC):
        return "tiff"
    if start.startswith(PICTURE_MAGIC):
        return "picture"
    raise InputError(f"{path} is no picture or slide of a known format (PNG, JPEG, TIFF, WebP, OpenSlide's).")
