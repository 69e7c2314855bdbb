"""A finished slide as a pyramid on disk, in the format of its name."""

from pathlib import Path
from types import ModuleType

import numpy as np

from histoscale.errors import OutputError
from histoscale.files import refuse_existing, refuse_unwritable
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Compression, Encoding, FinishedSlide
from histoscale.io.writers.ome_tiff import refuse_unreadable, write_ome_tiff
from histoscale.io.writers.ome_zarr import refuse_lossy, write_ome_zarr

OME_TIFF, OME_ZARR, DICOM = "OME-TIFF", "OME-Zarr", "DICOM"
FORMAT_OF_SUFFIX = {
    **{".ome.tiff": OME_TIFF, ".ome.tif": OME_TIFF},
    **{".ome.zarr": OME_ZARR, ".zarr": OME_ZARR},
    ".dcm": DICOM,
}

JPEG_BYTES = ((1, 50, 75, 90, 94, 95, 100), (0.05, 0.17, 0.25, 0.4, 0.5, 1.4, 2.2))
"""Quality, and bytes a pixel on tissue without gaps; glass takes a tenth."""
LOSSLESS_BYTES = {"jpeg2000": 1.4, "zstd": 2.7, "deflate": 2.7, "none": 3.0}
ALL_LEVELS = 4 / 3


def is_slide_target(path: Path) -> bool:
    """Whether a name asks for a pyramid."""
    return _format(path) is not None


def format_of_slide(target: Path) -> str:
    """Which format a name asks for: "OME-TIFF", "OME-Zarr" or "DICOM".

    Raises:
        OutputError: if the suffix asks for none of them.
    """
    form = _format(target)
    if form is None:
        known = " ".join(FORMAT_OF_SUFFIX)
        raise OutputError(f"{target} has no suffix that a slide is written in (known: {known}).")
    return form


def default_compression(target: Path) -> Compression:
    """JPEG where the format has it.

    Raises:
        OutputError: if the suffix asks for no pyramid.
    """
    return "zstd" if format_of_slide(target) == OME_ZARR else "jpeg"


def estimate_bytes(size_xy: tuple[int, int], encoding: Encoding) -> int:
    """About how large the file of a slide of dense tissue gets; lossy ones with much glass stay far below."""
    if encoding.is_lossless:
        per_pixel = LOSSLESS_BYTES[encoding.compression]
    else:
        per_pixel = float(np.interp(encoding.quality, *JPEG_BYTES))
    return int(ALL_LEVELS * per_pixel * size_xy[0] * size_xy[1])


def refuse_impossible_slide(target: Path, encoding: Encoding, overwrite: bool) -> None:
    """Find out before hours of work what would end them in vain.

    Raises:
        OutputError: if the format has no such encoding, or the name cannot be taken.
    """
    form = format_of_slide(target)
    if form == OME_TIFF:
        refuse_unreadable(target, encoding)
    elif form == OME_ZARR:
        refuse_lossy(target, encoding)
    else:
        _dicom_writer(target).refuse_impossible_dicom(target, encoding)
    if not overwrite:
        refuse_existing(target)
    refuse_unwritable(target, is_folder=form != OME_TIFF)


def refuse_unknown_mpp(target: Path, mpp: Mpp | None) -> None:
    """Raise `OutputError` if the format cannot be without micrometres per pixel, and they are not known."""
    if mpp is None and format_of_slide(target) == DICOM:
        raise OutputError(
            f"DICOM wants micrometres per pixel, and those of {target} are not known: give --source-mpp."
        )


def write_slide(
    target: Path, slide: FinishedSlide, encoding: Encoding, scratch: Path, overwrite: bool
) -> None:
    """Write ``target`` whole or not at all, in the format of its suffix.

    Args:
        scratch: a folder for lower levels on their way; made where it is missing, and left empty.

    Raises:
        OutputError: if the format cannot hold that, or the disk does not take it.
    """
    refuse_impossible_slide(target, encoding, overwrite)
    refuse_unknown_mpp(target, slide.mpp)
    form = format_of_slide(target)
    if form == OME_TIFF:
        write_ome_tiff(target, slide, encoding, scratch, overwrite)
    elif form == OME_ZARR:
        write_ome_zarr(target, slide, encoding, scratch, overwrite)
    else:
        _dicom_writer(target).write_dicom(target, slide, encoding, scratch, overwrite)


def _dicom_writer(target: Path) -> ModuleType:
    """The DICOM writer, whose packages are an extra."""
    try:
        from histoscale.io.writers import dicom
    except ModuleNotFoundError:
        raise OutputError(
            f"{target} needs packages that are an extra: pip install 'histoscale[dicom]'."
        ) from None
    return dicom


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((form for suffix, form in FORMAT_OF_SUFFIX.items() if name.endswith(suffix)), None)
