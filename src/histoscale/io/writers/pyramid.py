"""The levels of a pyramid, tile by tile; each pixel of level 0 is read once.

While a level is written, the means over 2 x 2 pixels of its tiles go to a temporary file in a scratch folder,
and the next level is read from that file. Memory holds a few tiles, whatever the size of the slide.
"""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from histoscale.io.writers.base import Encoding, OutputSlide

THUMBNAIL_PX = 1024
"""Longest side of the smallest level."""
EXPECTED_PX = 512
JPEG_BYTES = ((1, 50, 75, 90, 94, 95, 100), (0.05, 0.17, 0.25, 0.4, 0.5, 1.4, 2.2))
"""Quality, and bytes per pixel of tissue; background takes a tenth."""
LOSSLESS_BYTES = {"jpeg2000": 1.4, "zstd": 2.7, "deflate": 2.7, "none": 3.0}
ALL_LEVELS = 4 / 3
"""Pixels of all levels, divided by those of level 0."""


class ExpectedTile(NamedTuple):
    """A tile as it was handed to the encoder, to be compared with the written file.

    Attributes:
        level_xy: its upper left pixel in the level.
        pixels: its upper left part, at most `EXPECTED_PX` a side.
    """

    level: int
    level_xy: tuple[int, int]
    pixels: UInt8[np.ndarray, "h w 3"]


def level_sizes(size_xy: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Compute the sizes (x, y) of all levels: halved, rounded up, down to `THUMBNAIL_PX`."""
    sizes = [size_xy]
    while max(sizes[-1]) > THUMBNAIL_PX:
        width, height = sizes[-1]
        sizes.append((-(-width // 2), -(-height // 2)))
    return tuple(sizes)


def scratch_bytes(size_xy: tuple[int, int]) -> int:
    """Compute how much the scratch folder holds at most: levels 1 and 2, uncompressed."""
    return sum(3 * width * height for width, height in level_sizes(size_xy)[1:3])


def estimate_bytes(size_xy: tuple[int, int], encoding: Encoding) -> int:
    """Estimate the size of a file for a slide full of tissue; background makes lossy files much smaller."""
    if encoding.is_lossless:
        per_pixel = LOSSLESS_BYTES[encoding.compression]
    else:
        per_pixel = float(np.interp(encoding.quality, *JPEG_BYTES))
    return int(ALL_LEVELS * per_pixel * size_xy[0] * size_xy[1])


class PyramidLevels:
    """All levels of a slide, from the full one down, tile by tile.

    Args:
        tile_px: side of a tile, an even number.
        scratch: a folder with room for `scratch_bytes`; it is created if it is missing.

    Attributes:
        sizes_xy: of all levels.
        tile_px: as given.
        expected_tiles: first, middle and last tile of each level that has been read.
    """

    def __init__(self, slide: OutputSlide, tile_px: int, scratch: Path) -> None:
        self.sizes_xy = level_sizes(slide.size_xy)
        self.tile_px = tile_px
        self.expected_tiles: list[ExpectedTile] = []
        self._slide, self._scratch = slide, scratch
        self._source: _Quarters | None = None
        self._target: _Quarters | None = None

    def __enter__(self) -> "PyramidLevels":
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for quarters in (self._source, self._target):
            if quarters is not None:
                quarters.close()

    def tiles(self, level: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the tiles of a level in reading order; those at the right and lower edge are smaller.

        A level can be read once, and after all tiles of the level above.
        """
        self._go_to(level)
        rows, cols = self.grid(level)
        kept = {0, rows * cols // 2, rows * cols - 1}
        for index in range(rows * cols):
            row, col = divmod(index, cols)
            tile = self._tile(level, row, col)
            if self._target is not None:
                self._target.put(row, col, np.asarray(Image.fromarray(tile).reduce(2)))
            if index in kept:
                level_xy = (col * self.tile_px, row * self.tile_px)
                expected = tile[:EXPECTED_PX, :EXPECTED_PX].copy()
                self.expected_tiles.append(ExpectedTile(level, level_xy, expected))
            yield tile

    def grid(self, level: int) -> tuple[int, int]:
        """Count the rows and columns of tiles."""
        width, height = self.sizes_xy[level]
        return math.ceil(height / self.tile_px), math.ceil(width / self.tile_px)

    def _go_to(self, level: int) -> None:
        """Read from the file that the level above filled, and start a file for the level below."""
        if self._source is not None:
            self._source.close()
        self._source, self._target = self._target, None
        if level + 1 < len(self.sizes_xy):
            self._target = _Quarters(self._scratch, self.sizes_xy[level + 1], self.tile_px // 2)

    def _tile(self, level: int, row: int, col: int) -> UInt8[np.ndarray, "h w 3"]:
        width, height = self.sizes_xy[level]
        x, y = col * self.tile_px, row * self.tile_px
        size_xy = (min(self.tile_px, width - x), min(self.tile_px, height - y))
        if self._source is not None:
            return self._source.joined(row, col, size_xy)
        return np.ascontiguousarray(self._slide.read((x, y), size_xy))


class _Quarters:
    """A level in a file, in squares of half the side of a tile: the reduced tiles of the level above."""

    def __init__(self, folder: Path, size_xy: tuple[int, int], side_px: int) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._size_xy, self._side = size_xy, side_px
        self._cols = math.ceil(size_xy[0] / side_px)

    def put(self, row: int, col: int, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        self._file.seek(self._offset(row, col))
        view = memoryview(pixels.tobytes())
        while view:  # an unbuffered write may be incomplete, for example on a full disk
            view = view[self._file.write(view) :]

    def joined(self, row: int, col: int, size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """Join up to four squares to a tile."""
        width, height = size_xy
        tile = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, self._side):
            for left in range(0, width, self._side):
                part = tile[top : top + self._side, left : left + self._side]
                part[...] = self._get(2 * row + top // self._side, 2 * col + left // self._side, part.shape)
        return tile

    def close(self) -> None:
        self._file.close()

    def _get(self, row: int, col: int, shape: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
        self._file.seek(self._offset(row, col))
        return np.frombuffer(self._file.read(math.prod(shape)), np.uint8).reshape(shape)

    def _offset(self, row: int, col: int) -> int:
        return (row * self._cols + col) * self._side**2 * 3


def full_tile(tile: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Fill up a tile by repeating its edge pixels; a step to black would ring into the image under JPEG."""
    height, width = tile.shape[:2]
    return np.pad(tile, ((0, side - height), (0, side - width), (0, 0)), mode="edge")
