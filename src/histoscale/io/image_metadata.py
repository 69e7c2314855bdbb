"""What the header of a PNG, JPEG, WebP or BMP file says."""

from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from histoscale.io.metadata import (
    Resolution,
    first_known,
    from_density,
    from_provenance,
    notes_on,
    possible_power,
)
from histoscale.io.provenance import parse_provenance
from histoscale.io.samples import SIXTEEN_BITS, TRANSPOSING, upright_size
from histoscale.io.slide import Description

ORIENTATION, DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 270, 282, 283, 296
"""EXIF tags, shared with TIFF."""
NAMES = {"WEBP": "WebP", "MPO": "JPEG"}
COMPRESSION = {"PNG": "deflate", "JPEG": "JPEG", "MPO": "JPEG", "BMP": "none"}
CHANNELS = {
    **dict.fromkeys(("1", "L", "I", "I;16", "I;16B", "I;16L"), "grey"),
    **{"LA": "grey + alpha", "RGB": "RGB", "RGBA": "RGB + alpha", "P": "palette"},
}


def describe_image(path: Path, image: ImageFile, file: BinaryIO) -> Description:
    """Describe an image that Pillow opened.

    Args:
        file: the file that ``image`` reads from.
    """
    exif, form = exif_of(image), str(image.format)
    text = image.info.get("Description") or exif.get(DESCRIPTION)
    provenance, damage = parse_provenance(text if isinstance(text, str) else None)
    found = first_known(from_provenance(provenance), _exif_resolution(exif), _density(image))
    mpp, orientation = found.mpp, exif.get(ORIENTATION, 1)
    if mpp and orientation in TRANSPOSING:
        mpp = mpp._replace(x=mpp.y, y=mpp.x)
    channels = CHANNELS.get(image.mode, image.mode)
    if image.has_transparency_data and "alpha" not in channels:
        channels += " + alpha"
    bits = _bits(image, file)
    power = possible_power((provenance or {}).get("power"))
    return Description(
        path=path,
        format=NAMES.get(form, form),
        size_xy=upright_size(image.size, orientation),
        channels=channels,
        bits=bits,
        mpp=mpp,
        mpp_source=found.source,
        power=power,
        levels_xy=(upright_size(image.size, orientation),),
        compression=COMPRESSION.get(form) or _webp_compression(file),
        icc_profile=image.info.get("icc_profile") or None,
        provenance=provenance,
        refusal=_refusal(image, file),
        notes=notes_on(found._replace(mpp=mpp), power, damage, SIXTEEN_BITS if bits == 16 else None),
    )


def _refusal(image: ImageFile, file: BinaryIO) -> str | None:
    """Why `upscale` refuses the image, as the end of a sentence, or None."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} images or frames, and only files with one are read"
    if image.format in ("JPEG", "MPO") and (kind := unsupported_jpeg(file)):
        return f"is not supported: {kind}; convert it to PNG"
    if image.mode not in CHANNELS:
        return f"is in {image.mode}, not RGB or grey: convert it to RGB with its colour profile first"
    return None


def _bits(image: ImageFile, file: BinaryIO) -> int:
    """Bits per channel; those of a PNG file are read from its header, because Pillow hides 16 bits."""
    if image.format != "PNG":
        return 8
    return max(_peek(file, 24, 1)[0], 8)


def unsupported_jpeg(file: BinaryIO) -> str | None:
    """Name the kind of a JPEG file that Pillow cannot read; None for 8 bits, baseline or progressive."""
    offset = 2
    while len(head := _peek(file, offset, 5)) == 5 and head[0] == 0xFF:
        marker, length, bits = head[1], int.from_bytes(head[2:4], "big"), head[4]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, and not a table
            kind = "" if marker <= 0xC2 else " with lossless or arithmetic coding"
            return f"JPEG of {bits} bits{kind}" if kind or bits != 8 else None
        offset += 2 + length
    return None


def _peek(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read bytes of the file and restore its position for Pillow."""
    position = file.tell()
    try:
        file.seek(offset)
        return file.read(length)
    finally:
        file.seek(position)


def exif_of(image: ImageFile) -> dict[int, Any]:
    """Read the EXIF tags of the header; a damaged EXIF block counts as none."""
    try:
        return dict(Image.Image.getexif(image))  # the method of PNG files would decode all pixels
    except Exception:  # the block is optional, and its decoder raises exceptions of any class
        return {}


def _exif_resolution(exif: dict[int, Any]) -> Resolution:
    inches = {2: 1.0, 3: 2.54}.get(exif.get(RESOLUTION_UNIT, 0))
    try:
        per_unit = float(exif[X_RESOLUTION]), float(exif[Y_RESOLUTION])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return Resolution()
    if inches is None:
        return Resolution()
    return from_density((per_unit[0] * inches, per_unit[1] * inches), "EXIF resolution")


def _density(image: ImageFile) -> Resolution:
    """Read pHYs of PNG, the JFIF density of JPEG, or the pixels per metre of BMP."""
    if image.format in ("JPEG", "MPO"):  # Pillow's "dpi" is 72 where a JPEG gives none
        inches = {1: 1.0, 2: 2.54}.get(image.info.get("jfif_unit", 0), 0.0)
        across, down = image.info.get("jfif_density", (0, 0))
        return from_density((across * inches, down * inches), "JPEG density")
    source = "PNG pHYs density" if image.format == "PNG" else "density"
    return from_density(image.info.get("dpi", (0, 0)), source)


def _webp_compression(file: BinaryIO) -> str:
    """Tell lossless from lossy WebP by its first chunk of pixels."""
    offset = 12
    while len(header := _peek(file, offset, 8)) == 8:
        if header[:4] in (b"VP8L", b"VP8 "):
            return "WebP lossless" if header[:4] == b"VP8L" else "WebP lossy"
        length = int.from_bytes(header[4:], "little")
        offset += 8 + length + length % 2  # chunks start at even places
    return "WebP"
