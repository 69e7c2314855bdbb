"""Slides of the makers that OpenSlide knows, read piece by piece."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import openslide
import tifffile
from jaxtyping import UInt8
from PIL import Image

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.metadata import contradiction, parse_provenance, positive
from histoscale.io.slide import Description, Mpp, Picture, Slide
from histoscale.io.tiff_metadata import compression_of
from histoscale.resources import ensure_memory

# Slides through OpenSlide: what their headers say, and level 0 as one picture where it fits memory.


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


BLOCK_PX = 512
"""Side of the blocks in which levels are read whose pixels do not lie on pixels of level 0."""


class OpenSlideSlide(Slide):
    """A slide opened by OpenSlide, whose own frame and bounds are kept.

    OpenSlide takes positions in whole pixels of level 0. Where a level's downsample is no whole number, a
    position of the level lies between two of them and OpenSlide interpolates, by a fraction that depends on
    the corner of the rectangle. Such a level is therefore cut into fixed blocks of `BLOCK_PX`, and a pixel is
    always read with the same block: the same in every rectangle, and out of place by a quarter of it at most.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        with decoding(path):
            self._slide = openslide.OpenSlide(path)
            self.description = description_of(path, self._slide)
            self._downsamples = self._slide.level_downsamples

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        (x, y), (width, height) = level_xy, size_xy
        with decoding(self.description.path, place):
            if self._downsamples[level].is_integer():
                return self._pixels(level, level_xy, size_xy)
            region = np.empty((height, width, 3), np.uint8)
            for left, top in _blocks(level_xy, size_xy):
                across, down = self.levels_xy[level]
                size = min(BLOCK_PX, across - left), min(BLOCK_PX, down - top)
                block = self._pixels(level, (left, top), size)
                inside = block[max(y - top, 0) : y + height - top, max(x - left, 0) : x + width - left]
                row, column = max(top - y, 0), max(left - x, 0)
                region[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
            return region

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        path = self.description.path
        if name not in self.description.associated:
            raise InputError(f"{path} has no associated image {name!r}.")
        with decoding(path, f"its associated image {name!r}"), openslide.OpenSlide(path) as own:
            return on_white(own.associated_images[name])

    def close(self) -> None:
        self._slide.close()

    def _pixels(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """One call of OpenSlide, which answers nobody any more after an error, be it another thread's."""
        (x, y), downsample, path = level_xy, self._downsamples[level], self.description.path
        l0_xy = round(x * downsample), round(y * downsample)
        try:
            return on_white(self._slide.read_region(l0_xy, level, size_xy))
        except openslide.OpenSlideError:
            self._slide = openslide.OpenSlide(path)
        with openslide.OpenSlide(path) as own:  # what fails here is damaged
            return on_white(own.read_region(l0_xy, level, size_xy))


def _blocks(level_xy: tuple[int, int], size_xy: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Corners (x, y) of the fixed blocks that a rectangle touches."""
    (x, y), (width, height) = level_xy, size_xy
    for top in range(y - y % BLOCK_PX, y + height, BLOCK_PX):
        for left in range(x - x % BLOCK_PX, x + width, BLOCK_PX):
            yield left, top
