"""A finished slide as a pyramid on disk, in the format of its name."""

from pathlib import Path

from histoscale.errors import OutputError
from histoscale.slides.finished_slide import Encoding, FinishedSlide
from histoscale.slides.ome_tiff_writer import write_ome_tiff
from histoscale.slides.ome_zarr_writer import write_ome_zarr
from histoscale.slides.replacing import refuse_existing

OME_TIFF, OME_ZARR = "OME-TIFF", "OME-Zarr"
FORMAT_OF_SUFFIX = {".ome.tiff": OME_TIFF, ".ome.tif": OME_TIFF, ".ome.zarr": OME_ZARR, ".zarr": OME_ZARR}


def is_slide_target(path: Path) -> bool:
    """Whether a name asks for a pyramid."""
    return _format(path) is not None


def format_of_slide(target: Path) -> str:
    """Which format a name asks for: "OME-TIFF" or "OME-Zarr".

    Raises:
        OutputError: if the suffix asks for neither.
    """
    form = _format(target)
    if form is None:
        known = " ".join(FORMAT_OF_SUFFIX)
        raise OutputError(f"{target} has no suffix that a slide is written in (known: {known}).")
    return form


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((form for suffix, form in FORMAT_OF_SUFFIX.items() if name.endswith(suffix)), None)


def write_slide(
    target: Path, slide: FinishedSlide, encoding: Encoding, scratch: Path, overwrite: bool
) -> None:
    """Write ``target`` whole or not at all, in the format of its suffix.

    Args:
        scratch: a folder for lower levels on their way; made where it is missing, and left empty.

    Raises:
        OutputError: if the format cannot hold that, or the disk does not take it.
    """
    form = format_of_slide(target)
    if not overwrite:
        refuse_existing(target)
    write = write_ome_tiff if form == OME_TIFF else write_ome_zarr
    write(target, slide, encoding, scratch, overwrite)
