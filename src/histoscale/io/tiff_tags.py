"""What the tags of one image in a TIFF file say about its pixels, and whether they can be read."""

import numpy as np
import tifffile

LOSSLESS_YCBCR = ("none", "lzw", "deflate", "packbits", "zstd", "lzma")
"""Compressions that store YCbCr as it is, unlike JPEG, whose decoder gives RGB."""
JPEG_2000 = ("aperio_jp2000_ycbc", "aperio_jp2000_rgb", "jpeg2000")
"""JPEG 2000 keeps subsampled colour within its stream and decodes it at full density."""
ALWAYS_YCBCR = ("aperio_jp2000_ycbc",)
"""Compressions of YCbCr, whatever the photometric tag says."""
CHANNELS = {
    **{"RGB": "RGB", "YCBCR": "RGB", "MINISBLACK": "grey", "MINISWHITE": "grey", "PALETTE": "palette"},
    "SEPARATED": "CMYK",
}
ORIENTATION = 274
YCBCR_COEFFICIENTS, REFERENCE_BLACK_WHITE = 529, 532
BT_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
"""Codes of black and white of Y, Cb and Cr, if the tag is missing."""


def is_readable(page: tifffile.TiffPage) -> bool:
    """Whether the pixels of a page can be decoded to RGB or grey."""
    return refusal_of(page) is None


def refusal_of(page: tifffile.TiffPage) -> str | None:
    """Why the pixels of a page are not RGB or grey in up to 16 bits, as the end of a sentence; or None."""
    if not page.imagewidth or not page.imagelength:
        return f"has no pixels: {page.imagewidth} x {page.imagelength} px"
    if page.planarconfig not in (1, 2) or not isinstance(page.bitspersample, int):
        shown = f"PlanarConfiguration {int(page.planarconfig)}, BitsPerSample {page.bitspersample!r}"
        return f"is damaged, by the tags that say how its pixels are stored: {shown}"
    compression = compression_of(page)
    if compression == "ojpeg":
        return "is not supported: old-style JPEG in TIFF (compression 6); convert it to another compression"
    if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        return f"is not supported: TIFF compression {compression}"
    if page.dtype is None or page.dtype.kind not in "bu" or page.dtype.itemsize > 2:
        return f"has {page.bitspersample}-bit {page.dtype} samples, and only up to 16-bit integers are read"
    return _colour_refusal(page)


def _colour_refusal(page: tifffile.TiffPage) -> str | None:
    """Why the channels of a page are not RGB or grey, with or without an opacity, or None."""
    photometric = photometric_of(page)
    if CHANNELS.get(photometric, "CMYK") == "CMYK":
        name = CHANNELS.get(photometric, photometric)
        return f"is in {name}, not RGB or grey: convert it to RGB with its colour profile first"
    extra = page.samplesperpixel - (3 if CHANNELS[photometric] == "RGB" else 1)
    if extra not in (0, 1) or (extra == 1 and not has_alpha(page)):
        return f"has {page.samplesperpixel} channels, and only grey or RGB, with or without alpha, are read"
    is_coarse = compression_of(page) in LOSSLESS_YCBCR and page.is_subsampled
    if is_ycbcr(page) and (is_coarse or page.planarconfig == 2 or page.bitspersample != 8):
        return (
            "is not supported: YCbCr that is subsampled, in separate planes or of 16 bits; convert it to RGB"
        )
    return None


def is_ycbcr(page: tifffile.TiffPage) -> bool:
    """Whether the decoder gives YCbCr, which must be converted."""
    compression = compression_of(page)
    stored = compression in (*LOSSLESS_YCBCR, *JPEG_2000) and photometric_of(page) == "YCBCR"
    return stored or compression in ALWAYS_YCBCR


def has_alpha(page: tifffile.TiffPage) -> bool:
    """Whether the first extra sample is an opacity; 0 would be something unnamed."""
    return bool(page.extrasamples) and int(page.extrasamples[0]) != 0


def channels_of(page: tifffile.TiffPage) -> str:
    """The channels in words."""
    name = CHANNELS.get(photometric_of(page), photometric_of(page))
    return name + (" + alpha" if has_alpha(page) else "")


def photometric_of(page: tifffile.TiffPage) -> str:
    """The colour space by its name in the TIFF specification, or its number if that is unknown."""
    return str(getattr(page.photometric, "name", page.photometric))


def compression_of(page: tifffile.TiffPage) -> str:
    """The codec by its name in lower case, or its number if that is unknown."""
    return str(getattr(page.compression, "name", page.compression)).lower().replace("adobe_", "")


def orientation_of(page: tifffile.TiffPage) -> int:
    """How the image is turned, by EXIF's numbers 1 to 8."""
    value = page.tags.valueof(ORIENTATION, 1)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def white_of(page: tifffile.TiffPage) -> int:
    """The sample that stands for white if a tile is missing; for a palette, the lightest colour."""
    match photometric_of(page):
        case "MINISWHITE":
            return 0
        case "PALETTE":
            return int(np.asarray(page.colormap).sum(axis=0).argmax())
        case _:
            return int(2**page.bitspersample - 1)


def ycbcr_of(page: tifffile.TiffPage) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Weights of red, green and blue in Y, and codes of black and white of Y, Cb and Cr."""
    weights = _fractions(page, YCBCR_COEFFICIENTS, BT_601)
    codes = _fractions(page, REFERENCE_BLACK_WHITE, FULL_RANGE)
    if min(weights) <= 0 or any(white <= black for black, white in zip(codes[::2], codes[1::2], strict=True)):
        return BT_601, FULL_RANGE
    return weights, codes


def _fractions(page: tifffile.TiffPage, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
    """A tag of fractions as numbers, or the default if it is missing or damaged."""
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 * len(default) or 0 in value[1::2]:
        return default
    return tuple(above / below for above, below in zip(value[::2], value[1::2], strict=True))
