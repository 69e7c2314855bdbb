"""The levels of a pyramid on their way into a file: each pixel of level 0 is asked for once.

While a level is written, the 2 x 2 means of its tiles go to a file without a name in a scratch folder, and
the next level comes from there. Memory holds a few tiles, however large the slide is.
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
"""The longest side of the smallest level."""
EXPECTED_PX = 512
JPEG_BYTES = ((1, 50, 75, 90, 94, 95, 100), (0.05, 0.17, 0.25, 0.4, 0.5, 1.4, 2.2))
"""Quality, and bytes a pixel on tissue without gaps; background takes a tenth."""
LOSSLESS_BYTES = {"jpeg2000": 1.4, "zstd": 2.7, "deflate": 2.7, "none": 3.0}
ALL_LEVELS = 4 / 3
"""Pixels of all levels together by those of level 0."""


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
    """Sizes (x, y) of all levels: halved and rounded up until the longest side is a thumbnail's."""
    sizes = [size_xy]
    while max(sizes[-1]) > THUMBNAIL_PX:
        width, height = sizes[-1]
        sizes.append((-(-width // 2), -(-height // 2)))
    return tuple(sizes)


def scratch_bytes(size_xy: tuple[int, int]) -> int:
    """How much the scratch folder holds at most: levels 1 and 2, as they are."""
    return sum(3 * width * height for width, height in level_sizes(size_xy)[1:3])


def estimate_bytes(size_xy: tuple[int, int], encoding: Encoding) -> int:
    """Estimate how large the file of a slide of dense tissue gets.

    Lossy files with much background stay far below.
    """
    if encoding.is_lossless:
        per_pixel = LOSSLESS_BYTES[encoding.compression]
    else:
        per_pixel = float(np.interp(encoding.quality, *JPEG_BYTES))
    return int(ALL_LEVELS * per_pixel * size_xy[0] * size_xy[1])


class PyramidLevels:
    """All levels of a slide, from the full one down, tile by tile.

    Args:
        tile_px: side of a tile, an even number.
        scratch: a folder with room for `scratch_bytes`; made where it is missing.

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
        """The tiles of a level in reading order, smaller at the right and lower edge.

        A level can be had once, after all tiles of the level above have been taken.
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
        """Rows and columns of tiles."""
        width, height = self.sizes_xy[level]
        return math.ceil(height / self.tile_px), math.ceil(width / self.tile_px)

    def _go_to(self, level: int) -> None:
        """What the level above left becomes the source; the level below gets a new file."""
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
    """A level in a file, in squares of half a tile's side: what one tile of the level above leaves."""

    def __init__(self, folder: Path, size_xy: tuple[int, int], side_px: int) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._size_xy, self._side = size_xy, side_px
        self._cols = math.ceil(size_xy[0] / side_px)

    def put(self, row: int, col: int, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        self._file.seek(self._offset(row, col))
        view = memoryview(pixels.tobytes())
        while view:  # an unbuffered write may be short, on a full disk for one
            view = view[self._file.write(view) :]

    def joined(self, row: int, col: int, size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """The tile that up to four squares make."""
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
    """Edge pixels repeated, not black: a step beyond the edge would ring into the picture."""
    height, width = tile.shape[:2]
    return np.pad(tile, ((0, side - height), (0, side - width), (0, 0)), mode="edge")
