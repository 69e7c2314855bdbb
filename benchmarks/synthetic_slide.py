"""A slide of any size as a scanner would have written it, made of real tissue and glass.

Blocks of 20x tissue (every other pixel's mean of MoNuSeg's 40x crops), turned and mirrored at random, lie on
glass with a camera's noise. Tiled JPEG with lower levels, in the manner of Aperio, streamed to disk.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Bool, UInt8
from PIL import Image

BLOCK_PX = 500
MPP = 0.5
GLASS = 243
FACTORS = (1, 4, 20)
"""Reductions of the levels; whole fractions of a block."""
TILE_PX = 512
TURNS = 8


class Mosaic:
    """Pixels by rule: which block lies where is decided by the seed.

    Args:
        data: folder with ``monuseg/images``.
        layout: where tissue lies, a value a block; the rest is glass.
    """

    def __init__(self, data: Path, layout: Bool[np.ndarray, "rows cols"], seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self._pictures = sorted((data / "monuseg" / "images").glob("*.webp"))
        if not self._pictures:
            raise SystemExit(f"{data} holds no monuseg/images: set $HISTOSCALE_DATA.")
        self._layout = layout
        self._picture = random.integers(len(self._pictures), size=layout.shape)
        self._turn = random.integers(TURNS, size=layout.shape)
        noise = random.normal(GLASS, 1.0, (BLOCK_PX, BLOCK_PX, 3))
        self._glass = np.asarray(np.rint(noise), np.uint8)
        self._block = cache(self._make_block)

    @property
    def size_xy(self) -> tuple[int, int]:
        """Pixels of level 0."""
        return self._layout.shape[1] * BLOCK_PX, self._layout.shape[0] * BLOCK_PX

    @property
    def tissue_share(self) -> float:
        """Of the area."""
        return float(self._layout.mean())

    def tiles(self, factor: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The tiles of a level in reading order, filled up with black at the rim."""
        width, height = (side // factor for side in self.size_xy)
        for top in range(0, height, TILE_PX):
            for left in range(0, width, TILE_PX):
                tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
                self._fill(tile, top, left, factor)
                yield tile

    def _fill(self, tile: UInt8[np.ndarray, "h w 3"], top: int, left: int, factor: int) -> None:
        side = BLOCK_PX // factor
        rows, cols = self._layout.shape
        for row in range(top // side, min((top + TILE_PX - 1) // side + 1, rows)):
            for col in range(left // side, min((left + TILE_PX - 1) // side + 1, cols)):
                y, x = row * side - top, col * side - left
                block = self._placed(row, col, factor)[max(-y, 0) : TILE_PX - y, max(-x, 0) : TILE_PX - x]
                y, x = max(y, 0), max(x, 0)
                tile[y : y + block.shape[0], x : x + block.shape[1]] = block

    def _placed(self, row: int, col: int, factor: int) -> UInt8[np.ndarray, "side side 3"]:
        number = int(self._picture[row, col]) if self._layout[row, col] else -1
        turn = int(self._turn[row, col])
        turned = np.rot90(self._block(number, factor), turn % 4)
        return turned[:, ::-1] if turn >= TURNS // 2 else turned

    def _make_block(self, number: int, factor: int) -> UInt8[np.ndarray, "side side 3"]:
        if number < 0:
            return np.asarray(Image.fromarray(self._glass).reduce(factor))
        picture = Image.open(self._pictures[number]).convert("RGB")
        return np.asarray(picture.crop((0, 0, 2 * BLOCK_PX, 2 * BLOCK_PX)).reduce(2 * factor))


def with_rim(blocks: int) -> Bool[np.ndarray, "rows cols"]:
    """A square of tissue within a rim of glass, a tenth of the side wide."""
    layout = np.zeros((blocks, blocks), bool)
    rim = round(blocks / 10)
    layout[rim : blocks - rim, rim : blocks - rim] = True
    return layout


def write(path: Path, mosaic: Mosaic) -> None:
    """Write the slide to ``path``, whose suffix is .svs."""
    width, height = mosaic.size_xy
    head = f"Aperio synthetic\r\n{width}x{height} ({TILE_PX}x{TILE_PX}) JPEG/RGB Q=90"
    with tifffile.TiffWriter(path, bigtiff=True, shaped=False) as tiff:
        for factor in FACTORS:
            tiff.write(
                mosaic.tiles(factor),
                shape=(height // factor, width // factor, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 90},
                description=f"{head}|AppMag = 20|MPP = {MPP}",
                metadata=None,
                maxworkers=1,
            )
