"""The tiles or strips of a TIFF page, of which only those under a rectangle are read and decoded."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import UInt8

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
