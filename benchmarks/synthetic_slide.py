"""Write a synthetic slide of any size, made of real tissue and background.

Blocks of 20x tissue (MoNuSeg's 40x crops, downsampled by 2), turned and mirrored at random, lie on a
background with the noise of a camera. The file is a tiled JPEG pyramid as Aperio writes it, streamed to disk.
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
BACKGROUND = 243
FACTORS = (1, 4, 20)
"""Downsampling factors of the levels; divisors of a block's side."""
TILE_PX = 512
TURNS = 8


class Mosaic:
    """The pixels of a slide, computed on demand from a seed.

    Args:
        data: folder with ``monuseg/images``.
        layout: which blocks are tissue; the others are background.
        seed: seed of the choice of blocks.
    """

    def __init__(self, data: Path, layout: Bool[np.ndarray, "rows cols"], seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self._images = sorted((data / "monuseg" / "images").glob("*.webp"))
        if not self._images:
            raise SystemExit(f"{data} has no monuseg/images: set $HISTOSCALE_DATA.")
        self._layout = layout
        self._image = random.integers(len(self._images), size=layout.shape)
        self._turn = random.integers(TURNS, size=layout.shape)
        noise = random.normal(BACKGROUND, 1.0, (BLOCK_PX, BLOCK_PX, 3))
        self._background = np.asarray(np.rint(noise), np.uint8)
        self._block = cache(self._make_block)

    @property
    def size_xy(self) -> tuple[int, int]:
        """Width and height of level 0 in pixels."""
        return self._layout.shape[1] * BLOCK_PX, self._layout.shape[0] * BLOCK_PX

    @property
    def tissue_share(self) -> float:
        """Share of tissue in the area."""
        return float(self._layout.mean())

    def tiles(self, factor: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the tiles of a level in reading order, padded with black at the right and bottom."""
        width, height = (side // factor for side in self.size_xy)
        for top in range(0, height, TILE_PX):
            for left in range(0, width, TILE_PX):
                tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
                self._fill(tile, top, left, factor)
                yield tile

    def _fill(self, tile: UInt8[np.ndarray, "h w 3"], top: int, left: int, factor: int) -> None:
        """Copy the blocks that overlap a tile into it."""
        side = BLOCK_PX // factor
        rows, cols = self._layout.shape
        for row in range(top // side, min((top + TILE_PX - 1) // side + 1, rows)):
            for col in range(left // side, min((left + TILE_PX - 1) // side + 1, cols)):
                y, x = row * side - top, col * side - left
                block = self._placed(row, col, factor)[max(-y, 0) : TILE_PX - y, max(-x, 0) : TILE_PX - x]
                y, x = max(y, 0), max(x, 0)
                tile[y : y + block.shape[0], x : x + block.shape[1]] = block

    def _placed(self, row: int, col: int, factor: int) -> UInt8[np.ndarray, "side side 3"]:
        """Return the block at a place of the layout, turned and mirrored."""
        number = int(self._image[row, col]) if self._layout[row, col] else -1
        turn = int(self._turn[row, col])
        turned = np.rot90(self._block(number, factor), turn % 4)
        return turned[:, ::-1] if turn >= TURNS // 2 else turned

    def _make_block(self, number: int, factor: int) -> UInt8[np.ndarray, "side side 3"]:
        """Make a block of tissue, or of background if ``number`` is negative."""
        if number < 0:
            return np.asarray(Image.fromarray(self._background).reduce(factor))
        image = Image.open(self._images[number]).convert("RGB")
        return np.asarray(image.crop((0, 0, 2 * BLOCK_PX, 2 * BLOCK_PX)).reduce(2 * factor))


def with_margin(blocks: int) -> Bool[np.ndarray, "rows cols"]:
    """Lay out a square of tissue with a margin of background, a tenth of the side wide."""
    layout = np.zeros((blocks, blocks), bool)
    margin = round(blocks / 10)
    layout[margin : blocks - margin, margin : blocks - margin] = True
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
