"""PNG, JPEG and WebP through Pillow, TIFF through tifffile: pixels, resolution, profile and provenance."""

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from histoscale.errors import OutputError
from histoscale.files import atomic_write
from histoscale.io.image_reader import DESCRIPTION, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION
from histoscale.io.metadata import Provenance
from histoscale.io.slide import Mpp

SOFTWARE = 305
"""EXIF tag."""
UM_PER_CM = 10_000.0
CENTIMETRE = 3
"""EXIF's number for the unit."""
LARGEST_SIDE_PX = {"PNG": 2**31 - 1, "JPEG": 65_500, "WebP": 16_383, "TIFF": 2**31 - 1}
"""JPEG's own limit is 65535; libjpeg stops at 65500."""
DENSITY_UM = (1e-3, 1e5)
"""Micrometres per pixel that the density fields of all formats can count; beyond, the record alone tells."""
LOSSLESS = ("PNG", "TIFF")
TILE_PX = 256
CLASSIC_TIFF_BYTES = 4_000_000_000
FORMAT_OF_SUFFIX = {
    **{".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP", ".tif": "TIFF", ".tiff": "TIFF"},
}


@dataclass(frozen=True)
class Finished:
    """Everything that goes into an output file."""

    pixels: UInt8[np.ndarray, "h w c"]
    alpha: UInt8[np.ndarray, "h w"] | None
    icc_profile: bytes | None
    provenance: Provenance

    @property
    def mpp(self) -> Mpp | None:
        """Micrometres per pixel for the density fields."""
        mpp, (low, high) = self.provenance.mpp, DENSITY_UM
        return mpp if mpp and low <= min(mpp) and max(mpp) <= high else None

    @property
    def samples(self) -> UInt8[np.ndarray, "h w k"]:
        """Colours with the opacity behind them."""
        return self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])


def format_of(target: Path) -> str:
    """The format that a name asks for.

    Raises:
        OutputError: if the suffix is none we write.
    """
    form = FORMAT_OF_SUFFIX.get(target.suffix.lower())
    if form is None:
        known = " ".join(FORMAT_OF_SUFFIX)
        raise OutputError(f"{target} has no suffix that can be written (known: {known}).")
    return form


def refuse_impossible(target: Path, size_xy: tuple[int, int], has_transparency: bool) -> None:
    """Raise `OutputError` if the format cannot hold that size or the opacity."""
    form = format_of(target)
    limit = LARGEST_SIDE_PX[form]
    if max(size_xy) > limit:
        width, height = size_xy
        raise OutputError(
            f"{form} holds at most {limit} px a side, and {target} would be {width} x {height}."
        )
    if has_transparency and form == "JPEG":
        raise OutputError(f"JPEG holds no transparency: give {target} the suffix .png, .tiff or .webp.")


def write_picture(
    target: Path, finished: Finished, *, quality: int | None = None, overwrite: bool = False
) -> None:
    """Write ``target`` whole or not at all, in the format of its suffix.

    Args:
        quality: 1 to 100 for JPEG (95 if None) and WebP (lossless if None); PNG and TIFF are lossless anyway.

    Raises:
        OutputError: if the format cannot hold the picture, or the file cannot be written.
    """
    form = format_of(target)
    height, width = finished.pixels.shape[:2]
    transparent = finished.alpha is not None and not bool((finished.alpha == 255).all())
    refuse_impossible(target, (width, height), transparent)
    with atomic_write(target, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        if form == "TIFF":
            _write_tiff(file, finished)
        else:
            file.write(_encoded(form, finished, quality))


def _encoded(form: str, finished: Finished, quality: int | None) -> memoryview:
    """The bytes of a PNG, JPEG or WebP file: in memory, since Pillow hides the reason when a disk is full."""
    samples = finished.pixels if form == "JPEG" else finished.samples
    image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
    options: dict[str, Any] = {"icc_profile": finished.icc_profile} if finished.icc_profile else {}
    if form == "PNG":
        options |= {"pnginfo": _png_text(finished.provenance), "compress_level": 4}  # as small as 6, quicker
        if finished.mpp:
            options["dpi"] = tuple(25_400 / side for side in finished.mpp)
    else:
        options["exif"] = _exif(finished)
    if form == "JPEG":
        options |= {"quality": quality or 95, "subsampling": 0}
    if form == "WebP":
        options |= {"lossless": quality is None, "quality": quality or 80, "exact": True, "method": 2}
    buffer = io.BytesIO()
    image.save(buffer, format=form.upper(), **options)
    if form == "JPEG":
        _set_jfif_density(buffer.getbuffer(), finished.mpp)
    return buffer.getbuffer()


def _png_text(provenance: Provenance) -> PngInfo:
    text = PngInfo()
    text.add_text("Software", provenance.software)
    text.add_text("Comment", provenance.note)
    text.add_text("Description", provenance.to_json())
    return text


def _exif(finished: Finished) -> Image.Exif:
    """Description, program and, exactly, the resolution: JFIF's own field is whole and ends at 0.15 um."""
    exif = Image.Exif()
    exif[DESCRIPTION] = finished.provenance.to_json()
    exif[SOFTWARE] = finished.provenance.software
    if finished.mpp:
        across, down = (per_centimetre(side) for side in finished.mpp)
        exif[X_RESOLUTION] = IFDRational(*across)
        exif[Y_RESOLUTION] = IFDRational(*down)
        exif[RESOLUTION_UNIT] = CENTIMETRE
    return exif


def _set_jfif_density(jpeg: memoryview, mpp: Mpp | None) -> None:
    """Pixels per centimetre in the JFIF header, where they fit its 16 bits (0.153 um and coarser).

    Pillow would write dots per inch, which fit from 0.388 um only.
    """
    density = [round(UM_PER_CM / side) for side in mpp] if mpp else []
    if density and min(density) >= 1 and max(density) <= 65_535 and bytes(jpeg[6:11]) == b"JFIF\0":
        struct.pack_into(">BHH", jpeg, 13, 2, *density)


def per_centimetre(mpp: float) -> tuple[int, int]:
    """Pixels per centimetre as a fraction of two 32-bit integers."""
    exact = Fraction(UM_PER_CM / mpp)
    limit = max(1, min(10**6, int((2**32 - 1) / max(float(exact), 1.0))))
    return exact.limit_denominator(limit).as_integer_ratio()


def _write_tiff(file: BinaryIO, finished: Finished) -> None:
    samples = finished.samples
    if samples.shape[2] == 1:
        samples = samples[..., 0]
    mpp = finished.mpp
    resolution = (per_centimetre(mpp.x), per_centimetre(mpp.y)) if mpp else None
    tifffile.imwrite(
        file,
        samples,
        bigtiff=samples.nbytes > CLASSIC_TIFF_BYTES,
        photometric="rgb" if finished.pixels.shape[2] == 3 else "minisblack",
        extrasamples=None if finished.alpha is None else ("unassalpha",),
        planarconfig="contig" if samples.ndim == 3 else None,
        tile=(TILE_PX, TILE_PX) if min(samples.shape[:2]) > TILE_PX else None,
        compression="deflate",
        predictor=True,
        resolution=resolution,
        resolutionunit="CENTIMETER" if mpp else None,
        description=finished.provenance.to_json(),
        software=finished.provenance.software,
        iccprofile=finished.icc_profile,
        metadata=None,
    )
