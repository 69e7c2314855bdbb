"""Slides through OpenSlide: what their headers say, and level 0 as one picture where it fits memory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide
import tifffile
from jaxtyping import UInt8
from PIL import Image

from histoscale.errors import InputError
from histoscale.slides.damage import decoding
from histoscale.slides.description import Description, Mpp, Picture
from histoscale.slides.memory import ensure_memory
from histoscale.slides.metadata import contradiction, parse_provenance, positive
from histoscale.slides.tiff_layout import compression_of

STRIP_PX = 1024
"""Rows read at once: OpenSlide answers in four bytes a pixel, we keep three."""
DICOM_SYNTAXES = {
    "1.2.840.10008.1.2.1": "none",
    "1.2.840.10008.1.2.4.50": "jpeg",
    "1.2.840.10008.1.2.4.90": "jpeg2000",
    "1.2.840.10008.1.2.4.91": "jpeg2000",
}

STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
    *("StudyDate", "StudyTime", "StudyDescription", "AccessionNumber", "ReferringPhysicianName"),
    *("AcquisitionDateTime", "ContainerIdentifier"),
)
"""DICOM's keywords for whom and what a slide is of."""


def vendor_of(path: Path) -> str | None:
    """The scanner's maker if OpenSlide knows the file as a slide; plain tiled TIFF does not count."""
    vendor = openslide.OpenSlide.detect_format(path)
    return None if vendor == "generic-tiff" else vendor


def dicom_series(path: Path) -> str | None:
    """The number that all levels of a DICOM slide share; None if the file is none."""
    if vendor_of(path) != "dicom":
        return None
    with decoding(path), openslide.OpenSlide(path) as slide:
        return slide.properties.get("dicom.SeriesInstanceUID")


def describe_slide(path: Path) -> Description:
    """The header of a slide.

    Raises:
        InputError: if it is damaged.
    """
    with decoding(path), openslide.OpenSlide(path) as slide:
        return description_of(path, slide)


def read_slide(path: Path) -> Picture:
    """Level 0 of a slide; where nothing was scanned it is white.

    Raises:
        InputError: if it is damaged or larger than memory.
    """
    with decoding(path), openslide.OpenSlide(path) as slide:
        width, height = slide.dimensions
        ensure_memory(
            4 * width * height,
            InputError,
            f"{path} is {width} x {height} px, too large to be held in memory as one picture",
        )
        pixels = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, STRIP_PX):
            rows = min(STRIP_PX, height - top)
            pixels[top : top + rows] = on_white(slide.read_region((0, top), 0, (width, rows)))
        return Picture(description_of(path, slide), pixels)


def on_white(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """What OpenSlide gives, without its opacity."""
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return np.asarray(paper)


def description_of(path: Path, slide: openslide.OpenSlide) -> Description:
    """The header of an opened slide."""
    known = slide.properties
    x, y = (positive(known.get(f"openslide.mpp-{axis}")) for axis in "xy")
    vendor = str(known.get("openslide.vendor"))
    profile = slide.color_profile
    mpp = Mpp(x, y) if x and y else None
    power = positive(known.get("openslide.objective-power"))
    return Description(
        path=path,
        format=f"{'DICOM' if vendor == 'dicom' else vendor.capitalize()} slide",
        size_xy=slide.dimensions,
        channels="RGB",
        bits=8,
        mpp=mpp,
        mpp_source="slide metadata" if mpp else None,
        power=power,
        levels_xy=tuple(slide.level_dimensions),
        compression=_compression(path, known),
        icc_profile=profile.tobytes() if profile else None,
        associated=tuple(slide.associated_images),
        study={word: known[f"dicom.{word}"] for word in STUDY if f"dicom.{word}" in known},
        provenance=parse_provenance(known.get("dicom.ImageComments")),
        notes=contradiction(mpp, power),
    )


def _compression(path: Path, known: Mapping[str, str]) -> str | None:
    """What level 0 is compressed with, where a TIFF tag or a DICOM syntax says so."""
    syntax = known.get("dicom.TransferSyntaxUID")
    if syntax:
        return DICOM_SYNTAXES.get(syntax, syntax)
    try:
        with tifffile.TiffFile(path) as tiff:
            return compression_of(tiff.pages.first)
    except Exception:  # not a TIFF (MRXS, ...), and the answer is a courtesy
        return None
