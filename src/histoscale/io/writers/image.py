"""PNG, JPEG and WebP through Pillow, TIFF through tifffile: pixels, resolution, profile and provenance.

Each writer takes an open file, the image, and the quality where the format is lossy.
"""

import io
import struct
from typing import Any, BinaryIO

import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from histoscale.io.image_metadata import DESCRIPTION, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION
from histoscale.io.provenance import Provenance
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import UM_PER_CM, OutputImage, per_centimetre

SOFTWARE = 305
"""EXIF tag."""
CENTIMETRE = 3
"""EXIF's number for the unit."""
PNG_LEVEL = 4
"""Level of deflate; files are as small as at the default of 6, and written faster."""
WEBP_EFFORT = 80
"""Effort of the lossless encoder of WebP; has no influence on the pixels."""
TILE_PX = 256
CLASSIC_TIFF_BYTES = 4_000_000_000


def write_png(file: BinaryIO, image: OutputImage, _quality: int | None) -> None:
    """Write a PNG file."""
    options: dict[str, Any] = {"pnginfo": _png_text(image.provenance), "compress_level": PNG_LEVEL}
    if image.mpp:
        options["dpi"] = tuple(25_400 / side for side in image.mpp)
    file.write(_encoded("PNG", image, options))


def write_jpeg(file: BinaryIO, image: OutputImage, quality: int | None) -> None:
    """Write a JPEG file with colour at full density, without the opacity."""
    opaque = OutputImage(image.pixels, None, image.icc_profile, image.provenance)
    options = {"exif": _exif(image), "quality": quality, "subsampling": 0}
    encoded = _encoded("JPEG", opaque, options)
    _set_jfif_density(encoded, image.mpp)
    file.write(encoded)


def write_webp(file: BinaryIO, image: OutputImage, quality: int | None) -> None:
    """Write a WebP file, without loss if ``quality`` is None."""
    options = {"lossless": quality is None, "quality": quality or WEBP_EFFORT, "exact": True, "method": 2}
    file.write(_encoded("WEBP", image.in_colour(), options | {"exif": _exif(image)}))


def write_tiff(file: BinaryIO, image: OutputImage, _quality: int | None) -> None:
    """Write a deflate-compressed TIFF file, in tiles if it is larger than one."""
    samples = image.samples
    if samples.shape[2] == 1:
        samples = samples[..., 0]
    mpp = image.mpp
    resolution = (per_centimetre(mpp.x), per_centimetre(mpp.y)) if mpp else None
    tifffile.imwrite(
        file,
        samples,
        bigtiff=samples.nbytes > CLASSIC_TIFF_BYTES,
        photometric="rgb" if image.pixels.shape[2] == 3 else "minisblack",
        extrasamples=None if image.alpha is None else ("unassalpha",),
        planarconfig="contig" if samples.ndim == 3 else None,
        tile=(TILE_PX, TILE_PX) if min(samples.shape[:2]) > TILE_PX else None,
        compression="deflate",
        predictor=True,
        resolution=resolution,
        resolutionunit="CENTIMETER" if mpp else None,
        description=image.provenance.to_json(),
        software=image.provenance.software,
        iccprofile=image.fitting_profile,
        metadata=None,
    )


def _encoded(form: str, image: OutputImage, options: dict[str, Any]) -> memoryview:
    """Encode a file in memory, because Pillow hides the error of a full disk."""
    samples = image.samples
    pillow = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
    if profile := image.fitting_profile:
        options = options | {"icc_profile": profile}
    buffer = io.BytesIO()
    pillow.save(buffer, format=form, **options)
    return buffer.getbuffer()


def _png_text(provenance: Provenance) -> PngInfo:
    text = PngInfo()
    text.add_text("Software", provenance.software)
    text.add_text("Comment", provenance.note)
    text.add_text("Description", provenance.to_json())
    return text


def _exif(image: OutputImage) -> Image.Exif:
    """Make the EXIF tags of provenance, program and resolution.

    The resolution is exact here; the density of JFIF is a whole number and starts at 0.153 um per pixel.
    """
    exif = Image.Exif()
    exif[DESCRIPTION] = image.provenance.to_json()
    exif[SOFTWARE] = image.provenance.software
    if image.mpp:
        across, down = (per_centimetre(side) for side in image.mpp)
        exif[X_RESOLUTION] = IFDRational(*across)
        exif[Y_RESOLUTION] = IFDRational(*down)
        exif[RESOLUTION_UNIT] = CENTIMETRE
    return exif


def _set_jfif_density(jpeg: memoryview, mpp: Mpp | None) -> None:
    """Set pixels per centimetre in the JFIF header, if they fit its 16 bits (from 0.153 um per pixel).

    Pillow writes dots per inch, which fit from 0.388 um per pixel only.
    """
    density = [round(UM_PER_CM / side) for side in mpp] if mpp else []
    if density and min(density) >= 1 and max(density) <= 65_535 and bytes(jpeg[6:11]) == b"JFIF\0":
        struct.pack_into(">BHH", jpeg, 13, 2, *density)
