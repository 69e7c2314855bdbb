"""Plain TIFF, OME-TIFF and ImageJ TIFF, through tifffile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from histoscale.errors import InputError
from histoscale.slides.damage import decoding
from histoscale.slides.description import Description, Picture
from histoscale.slides.memory import ensure_memory
from histoscale.slides.samples import to_eight_bits, unpremultiplied, upright
from histoscale.slides.tiff_layout import description_of, has_alpha, orientation_of, photometric_of

ASSOCIATED_ALPHA = 1


def describe_tiff(path: Path) -> Description:
    """The header of a TIFF file.

    Raises:
        InputError: if it is damaged.
    """
    with opened(path) as tiff:
        return description_of(path, tiff)


def read_tiff(path: Path) -> Picture:
    """The pixels of a TIFF file's full-resolution page, upright and in eight bits.

    Raises:
        InputError: if it is damaged or of a kind that is refused.
    """
    with opened(path) as tiff:
        description = description_of(path, tiff)
        if description.refusal:
            raise InputError(f"{path} {description.refusal}.")
        page = tiff.series[0].keyframe
        ensure_memory(3 * page.nbytes, InputError, f"{path} is too large to be held in memory as one picture")
        refuse_truncated(path, page)
        with decoding(path):
            samples = _samples(page, str(path))
    samples = upright(samples, orientation_of(page))
    if not has_alpha(page):
        return Picture(description, samples)
    colour, alpha = np.ascontiguousarray(samples[..., :-1]), samples[..., -1].copy()
    if page.extrasamples[0] == ASSOCIATED_ALPHA:
        colour = unpremultiplied(colour, alpha)
    return Picture(description, colour, alpha)


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF file with at least one picture in it.

    Raises:
        InputError: if it has none or is damaged.
    """
    with decoding(path):
        tiff = tifffile.TiffFile(path)
    with tiff:
        with decoding(path):
            if not tiff.series or tiff.series[0].keyframe is None:
                raise InputError(f"{path} is a TIFF file without a picture in it, or cut off before that.")
        yield tiff


def refuse_truncated(path: Path, page: tifffile.TiffPage) -> None:
    """Some decoders fill up what is missing with grey, so the file's length is compared with its index."""
    ends = (start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=False))
    length = path.stat().st_size
    if max(ends, default=0) > length:
        raise InputError(f"{path} is damaged or incomplete: its index points beyond its {length} bytes.")


def _samples(page: tifffile.TiffPage, name: str) -> np.ndarray:
    """One page as uint8 [h, w, 1 to 4]."""
    array = page.asarray()
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    if photometric_of(page) == "PALETTE":
        return _coloured(array, np.asarray(page.colormap))
    samples = to_eight_bits(array, page.bitspersample, name)
    if photometric_of(page) == "MINISWHITE":
        samples = 255 - samples
    return samples[..., None] if samples.ndim == 2 else samples


def _coloured(index: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A palette picture as RGB; the table holds 16 bits by the standard, and 8 in some files."""
    eight = colours if colours.max(initial=0) < 256 else colours >> 8
    return np.moveaxis(eight[:, index], 0, -1).astype(np.uint8)
