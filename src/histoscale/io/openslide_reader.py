"""Slides of the vendors that OpenSlide knows, and DICOM, read piece by piece."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import openslide
import tifffile
from jaxtyping import UInt8
from PIL import Image

from histoscale.errors import InputError, printable
from histoscale.io.decoding import decoding, start_of
from histoscale.io.dicom_header import WHOLE_SLIDE, read_header, series_in
from histoscale.io.metadata import Resolution, first_known, notes_on, positive, possible_power
from histoscale.io.provenance import parse_provenance
from histoscale.io.slide import Description, Mpp, Slide
from histoscale.io.tiff_structure import MOST_IMAGES, TIFF_MAGIC, count_images
from histoscale.io.tiff_tags import compression_of

BLOCK_PX = 512
"""Side of the blocks in which a level is read if its pixels do not lie on pixels of level 0."""
SLIDE_SUFFIXES = (
    ".svs",
    ".ndpi",
    ".mrxs",
    ".scn",
    ".bif",
    ".dcm",
    ".vms",
    ".svslide",
    ".czi",
    ".qptiff",
    ".btf",
)
PNG_MAGIC = b"\x89PNG"
PLAIN_TIFF = "generic-tiff"
"""OpenSlide's name for TIFF by no vendor, which the reader of TIFF takes."""
PARTS_BESIDE = (".mrxs",)
"""Suffixes of files that are only the thumbnail or index of a slide, whose pixels are in a folder."""
LONGEST_COUNT = 12
"""Digits of a number of pixels."""
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
"""DICOM's keywords of patient, study and container."""


def is_slide(path: Path, file: BinaryIO | None) -> bool:
    """Whether OpenSlide reads the file, or the folder holds one DICOM slide.

    Raises:
        InputError: if the file belongs to a slide, but cannot be read as one.
    """
    if file is None:
        return len(series_in(path)) == 1
    start = start_of(file)
    # OpenSlide needs longer to refuse a PNG file than decoding takes, and lists all images of a TIFF file.
    if start.startswith(PNG_MAGIC) or (start.startswith(TIFF_MAGIC) and count_images(file) > MOST_IMAGES):
        return False
    header = read_header(file)
    if header is not None and header.sop_class != WHOLE_SLIDE:
        kind = header.sop_class or "unknown"
        raise InputError(f"{path} is not supported: DICOM of class {kind}, which is not a whole slide image.")
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor is None and path.suffix.lower() in PARTS_BESIDE:
        raise InputError(
            f"{path} cannot be read: the files of its slide are missing, which belong in the folder "
            f"{path.with_suffix('')} beside it."
        )
    return vendor not in (None, PLAIN_TIFF)


class OpenSlideSlide(Slide):
    """A slide opened by OpenSlide, in OpenSlide's frame of level 0.

    OpenSlide takes positions in whole pixels of level 0. Where the downsample of a level is not a whole
    number, a position of the level lies between two of them and OpenSlide interpolates, by a fraction that
    depends on the corner of the rectangle. Such a level is therefore divided into fixed blocks of `BLOCK_PX`.
    A pixel is always read with the same block, so that it is the same in every rectangle, and displaced by a
    quarter of a pixel at most.

    Args:
        file: the opened file, or None for a folder with one DICOM slide.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: Path, file: BinaryIO | None) -> None:
        if file is None:
            (path,) = series_in(path).values()
        compression = None if file is None else _tiff_compression(file)
        if file is not None:
            file.close()  # OpenSlide opens files by their name
        with decoding(path):
            self._slide = openslide.OpenSlide(path)
            self.description = _description(path, self._slide, compression)
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
                # the part of the block in the rectangle, and its place there
                inside = block[max(y - top, 0) : y + height - top, max(x - left, 0) : x + width - left]
                row, column = max(top - y, 0), max(left - x, 0)
                region[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
            return region

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        path = self.description.path
        if name not in self.description.associated:
            raise self._refuse_associated(name)
        # By a handle of its own: after an error, OpenSlide's handle reads no more pixels of the slide either.
        with decoding(path, f"its associated image {name!r}"), openslide.OpenSlide(path) as own:
            return _on_white(own.associated_images[name])

    def close(self) -> None:
        self._slide.close()

    def _pixels(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Read by one call of OpenSlide, whose handle must be replaced after an error of any thread."""
        (x, y), downsample, path = level_xy, self._downsamples[level], self.description.path
        l0_xy = round(x * downsample), round(y * downsample)
        try:
            return _on_white(self._slide.read_region(l0_xy, level, size_xy))
        except openslide.OpenSlideError:
            self._slide = openslide.OpenSlide(path)
        with openslide.OpenSlide(path) as own:  # an error here comes from these pixels
            return _on_white(own.read_region(l0_xy, level, size_xy))


def _blocks(level_xy: tuple[int, int], size_xy: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the corners (x, y) of the fixed blocks that a rectangle touches."""
    (x, y), (width, height) = level_xy, size_xy
    for top in range(y - y % BLOCK_PX, y + height, BLOCK_PX):
        for left in range(x - x % BLOCK_PX, x + width, BLOCK_PX):
            yield left, top


def _on_white(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Make the transparent pixels of OpenSlide, which are gaps of the scan, white."""
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return np.asarray(white)


def _description(path: Path, slide: openslide.OpenSlide, compression: str | None) -> Description:
    """Describe an opened slide."""
    known = slide.properties
    x, y = (positive(known.get(f"openslide.mpp-{axis}")) for axis in "xy")
    vendor = str(known.get("openslide.vendor"))
    profile = slide.color_profile
    found = first_known(Resolution(Mpp(x, y) if x and y else None, "slide metadata"))
    power = possible_power(known.get("openslide.objective-power"))
    bounds = _bounds_of(slide)
    syntax = known.get("dicom.TransferSyntaxUID")
    provenance, damage = parse_provenance(known.get("dicom.ImageComments"))
    return Description(
        path=path,
        format=f"{'DICOM' if vendor == 'dicom' else printable(vendor).capitalize()} slide",
        size_xy=slide.dimensions,
        channels="RGB",
        bits=8,
        mpp=found.mpp,
        mpp_source=found.source if found.mpp else None,
        power=power,
        levels_xy=tuple(slide.level_dimensions),
        bounds_xy=bounds[0],
        bounds_size_xy=bounds[1],
        compression=DICOM_SYNTAXES.get(syntax, syntax) if syntax else compression,
        icc_profile=profile.tobytes() if profile else None,
        associated=tuple(slide.associated_images),
        study={word: printable(known[f"dicom.{word}"]) for word in STUDY if f"dicom.{word}" in known},
        provenance=provenance,
        notes=notes_on(found, power, damage),
    )


def _bounds_of(slide: openslide.OpenSlide) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Corner and size of the scanned part; the whole slide if the scanner states no part within it."""
    values = [str(slide.properties.get(f"openslide.bounds-{side}")) for side in ("x", "y", "width", "height")]
    if not all(value.isdecimal() and len(value) < LONGEST_COUNT for value in values):
        return (0, 0), None
    x, y, width, height = map(int, values)
    across, down = slide.dimensions
    is_within = min(width, height) > 0 and x + width <= across and y + height <= down
    return ((x, y), (width, height)) if is_within else ((0, 0), None)


def _tiff_compression(file: BinaryIO) -> str | None:
    """What the first image of a TIFF file is compressed with; None for MRXS and others that are not TIFF."""
    if not start_of(file).startswith(TIFF_MAGIC):
        return None
    try:
        with tifffile.TiffFile(file) as tiff:
            return compression_of(tiff.pages.first)
    except Exception:  # OpenSlide reports what is damaged, and nothing depends on the answer
        return None
