"""TIFF and OME-TIFF as slides: levels in SubIFDs or in pages of their own, read tile by tile."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.image_reader import over_white, to_eight_bits, unpremultiplied, upright
from histoscale.io.slide import Description, Picture, Slide
from histoscale.io.tiff_metadata import (
    associated_pages,
    description_of,
    has_alpha,
    level_pages,
    orientation_of,
    photometric_of,
)
from histoscale.resources import ensure_memory

# Plain TIFF, OME-TIFF and ImageJ TIFF, through tifffile.


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


# The tiles or strips of a TIFF page, of which only those under a rectangle are read and decoded.


CACHE_BYTES = 64 * 2**20
"""Decoded segments kept: neighbouring rectangles share some, and a strip is as wide as the slide."""

JPEG, END_OF_JPEG = 7, b"\xff\xd9"


class SegmentFile:
    """A file that threads read from, and the segments that were decoded last."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._lock = Lock()
        self._decoded: OrderedDict[tuple[int, int], np.ndarray | None] = OrderedDict()
        self.held_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file.

        Raises:
            EOFError: if it ends before.
        """
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(length)
        if len(data) < length:
            raise EOFError(f"the file ends before byte {offset + length}")
        return data

    def segment(self, page: tifffile.TiffPage, index: int) -> UInt8[np.ndarray, "h w c"] | None:
        """One tile or strip, decoded; None where the file leaves it out."""
        key = page.offset, index
        with self._lock:
            if key in self._decoded:
                self._decoded.move_to_end(key)
                return self._decoded[key]
        array = self._decode(page, index)
        with self._lock:
            if key not in self._decoded:
                self.held_bytes += 0 if array is None else array.nbytes
            self._decoded[key] = array
            while self.held_bytes > CACHE_BYTES:
                _, oldest = self._decoded.popitem(last=False)
                self.held_bytes -= 0 if oldest is None else oldest.nbytes
        return array

    def close(self) -> None:
        """Let go of the file and of what was kept."""
        self._file.close()
        self._decoded.clear()

    def _decode(self, page: tifffile.TiffPage, index: int) -> np.ndarray | None:
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        if not length:
            return None
        tables, header = page.jpegtables, page.jpegheader
        data = self.read(offset, length)
        if page.compression == JPEG and not data.rstrip(b"\0").endswith(END_OF_JPEG):
            raise ValueError(f"tile or strip {index} has no end")  # its decoder would fill up with grey
        array, _, _ = page.decode(data, index, jpegtables=tables, jpegheader=header)
        return None if array is None else array[0]


class Segment(NamedTuple):
    """Where a tile or strip lies."""

    number: int
    x: int
    y: int
    sample: slice


def read_samples(
    file: SegmentFile, page: tifffile.TiffPage, xy: tuple[int, int], size_xy: tuple[int, int], missing: int
) -> UInt8[np.ndarray, "h w c"]:
    """A rectangle of a page of 8 bits, in the page's own colour space.

    Args:
        missing: the value of segments that the file leaves out.
    """
    if page.is_memmappable and page.planarconfig == 1:
        return _read_rows(file, page, xy, size_xy)
    (x, y), (width, height) = xy, size_xy
    region = np.full((height, width, page.samplesperpixel), missing, np.uint8)
    for segment in _segments_under(page, xy, size_xy):
        array = file.segment(page, segment.number)
        if array is None:
            continue
        inside = array[max(y - segment.y, 0) : y + height - segment.y]
        inside = inside[:, max(x - segment.x, 0) : x + width - segment.x]
        row, column = max(segment.y - y, 0), max(segment.x - x, 0)
        rows, columns = inside.shape[:2]
        region[row : row + rows, column : column + columns, segment.sample] = inside
    return region


def _read_rows(
    file: SegmentFile, page: tifffile.TiffPage, xy: tuple[int, int], size_xy: tuple[int, int]
) -> np.ndarray:
    """Uncompressed and in one piece, often a single strip: row by row, and of each what is needed."""
    (x, y), (width, height), samples = xy, size_xy, page.samplesperpixel
    start, row_bytes = page.dataoffsets[0], page.imagewidth * samples
    rows = [file.read(start + row * row_bytes + x * samples, width * samples) for row in range(y, y + height)]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(height, width, samples)


def _segments_under(
    page: tifffile.TiffPage, xy: tuple[int, int], size_xy: tuple[int, int]
) -> Iterator[Segment]:
    """Segments that a rectangle touches; with separate planes each of them has its own."""
    (x, y), (width, height) = xy, size_xy
    across, down = _segment_size(page)
    columns, rows = -(-page.imagewidth // across), -(-page.imagelength // down)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    for plane in range(planes):
        sample = slice(None) if planes == 1 else slice(plane, plane + 1)
        for row in range(y // down, -(-(y + height) // down)):
            for column in range(x // across, -(-(x + width) // across)):
                index = (plane * rows + row) * columns + column
                yield Segment(index, column * across, row * down, sample)


def segment_bytes(page: tifffile.TiffPage) -> int:
    """What one tile or strip of a page of 8 bits takes in memory."""
    across, down = _segment_size(page)
    return int(across * down * page.samplesperpixel)


def _segment_size(page: tifffile.TiffPage) -> tuple[int, int]:
    """Pixels across and down a tile or strip."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip, page.imagelength)


class TiffSlide(Slide):
    """Pages of RGB or grey in eight bits; a tile that the file leaves out is white.

    Raises:
        InputError: if the file is damaged, or of a kind that is refused.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as tiff:
            self.description = description_of(path, tiff)
            if self.description.refusal:
                raise InputError(f"{path} {self.description.refusal}.")
            with decoding(path):
                self._levels = level_pages(tiff)
                self._associated = associated_pages(tiff)
                for page in (*self._levels, *self._associated.values()):
                    refuse_truncated(path, page)
                    prepare(page)
        self._file = SegmentFile(path)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        with decoding(self.description.path, place):
            return read_rgb(self._file, self._levels[level], level_xy, size_xy)

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        path, page = self.description.path, self._associated.get(name)
        if page is None:
            raise InputError(f"{path} has no associated image {name!r}.")
        with decoding(path, f"its associated image {name!r}"):
            return read_rgb(self._file, page, (0, 0), (page.imagewidth, page.imagelength))

    def close(self) -> None:
        self._file.close()


def is_streamed(path: Path) -> bool:
    """Whether all levels of a TIFF file are of the kind that `TiffSlide` reads.

    Palettes, 16 bits and turned pictures are not, nor is a large picture compressed in one piece.

    Raises:
        InputError: if the file is damaged.
    """
    with opened(path) as tiff, decoding(path):
        return all(map(_is_plain, level_pages(tiff)))


def _is_plain(page: tifffile.TiffPage) -> bool:
    colours = ("RGB", "YCBCR", "MINISBLACK", "MINISWHITE")
    is_eight_bits = page.bitspersample == 8 and page.dtype == np.uint8
    is_cut = page.is_memmappable or segment_bytes(page) <= CACHE_BYTES
    return is_eight_bits and is_cut and photometric_of(page) in colours and orientation_of(page) == 1


def prepare(page: tifffile.TiffPage) -> None:
    """Let a page load what it would look for in the file when a tile is first wanted, which closes before."""
    _ = page.dataoffsets, page.databytecounts, page.jpegtables, page.jpegheader, page.decode
    _ = page.is_memmappable


def read_rgb(
    file: SegmentFile, page: tifffile.TiffPage, xy: tuple[int, int], size_xy: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """A rectangle of a page, over white where it is transparent."""
    is_white_zero = photometric_of(page) == "MINISWHITE"
    samples = read_samples(file, page, xy, size_xy, missing=0 if is_white_zero else 255)
    if has_alpha(page):
        colour, alpha = samples[..., :-1], samples[..., -1]
        if page.extrasamples[0] == ASSOCIATED_ALPHA:  # multiplied by its opacity already
            samples = colour + np.minimum(255 - alpha[..., None], 255 - colour)
        else:
            samples = over_white(colour, alpha)
    if is_white_zero:
        samples = 255 - samples
    return np.ascontiguousarray(np.broadcast_to(samples, (*samples.shape[:2], 3)))
