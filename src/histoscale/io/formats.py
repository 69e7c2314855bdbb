"""Any file that holds tissue: which of the readers takes it is decided by its content, not by its name."""

from dataclasses import replace
from pathlib import Path

from histoscale.errors import InputError
from histoscale.io.image_reader import PictureSlide, describe_picture, read_picture
from histoscale.io.openslide_reader import OpenSlideSlide, describe_slide, dicom_series, read_slide, vendor_of
from histoscale.io.slide import Description, Mpp, Picture, Slide
from histoscale.io.tiff_reader import TiffSlide, describe_tiff, is_streamed, read_tiff
from histoscale.io.zarr_reader import METADATA as ZARR_METADATA
from histoscale.io.zarr_reader import ZarrSlide, describe_zarr, is_zarr, read_zarr

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PICTURE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM")


def describe(path: Path) -> Description:
    """What a file is, from its header.

    Raises:
        InputError: if it is missing, damaged or of an unknown kind.
    """
    path, kind = _found(path)
    if kind == "zarr":
        return describe_zarr(path)
    if kind == "slide":
        return describe_slide(path)
    return describe_tiff(path) if kind == "tiff" else describe_picture(path)


def read(path: Path) -> Picture:
    """The full-resolution pixels of a file.

    Raises:
        InputError: if it is missing, damaged, of an unknown or refused kind, or larger than memory.
    """
    path, kind = _found(path)
    if kind == "zarr":
        return read_zarr(path)
    if kind == "slide":
        return read_slide(path)
    return read_tiff(path) if kind == "tiff" else read_picture(path)


def open_slide(path: Path, mpp: Mpp | None = None) -> Slide:
    """A file of any known kind, to be read piece by piece; close it, or use it in a ``with`` block.

    Args:
        mpp: micrometres per pixel that the person knows; goes before what the file says.

    Raises:
        InputError: if it is missing, damaged, or of an unknown or refused kind.
    """
    slide = _opened(*_found(path))
    if mpp is not None:
        slide.description = replace(slide.description, mpp=mpp)
    return slide


def _opened(path: Path, kind: str) -> Slide:
    if kind == "zarr":
        return ZarrSlide(path)
    if kind == "slide":
        return OpenSlideSlide(path)
    if kind == "tiff" and is_streamed(path):
        return TiffSlide(path)
    return PictureSlide(read(path))


def is_slide_folder(path: Path) -> bool:
    """Whether a folder is one slide, OME-Zarr or DICOM, and not a folder of pictures."""
    if not path.is_dir():
        return False
    has_others = any(file.suffix.lower() not in {".dcm", ""} for file in path.iterdir())
    return is_zarr(path) or (not has_others and _dicom_in(path) is not None)


def _found(path: Path) -> tuple[Path, str]:
    """The path to open, and the kind of reader: a slide that is a folder may be named by a file in it."""
    if path.name in ZARR_METADATA and is_zarr(path.parent):
        return path.parent, "zarr"
    if path.is_dir() and is_zarr(path):
        return path, "zarr"
    path = _dicom_in(path) or path
    return path, _kind(path)


def _dicom_in(path: Path) -> Path | None:
    """The largest level of the one DICOM slide in a folder; OpenSlide finds the others beside it."""
    files = sorted(path.glob("*.dcm"), key=lambda file: file.stat().st_size) if path.is_dir() else []
    return files[-1] if len({dicom_series(file) for file in files} - {None}) == 1 else None


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, and neither OME-Zarr nor a DICOM slide.") from None
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
