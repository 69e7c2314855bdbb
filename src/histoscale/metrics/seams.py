"""Do tiles show: the jump across their borders against the jump along lines beside them.

Neighbouring pixels differ everywhere; at the border of two tiles they should differ as much as elsewhere. The
lines to compare with lie a fixed distance to either side of a border, and not just anywhere: interpolation
repeats with the source's pixels and JPEG with its blocks, and a border on such a line owes the tiles nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt8

SOURCE_PERIOD_PX = 16
"""Source pixels after which JPEG's blocks repeat, with colour at half the density too."""
PIECE_PX = 512
"""Length of a piece of border that is read at once."""

Read: TypeAlias = Callable[[tuple[int, int], tuple[int, int]], UInt8[np.ndarray, "h w 3"]]
"""``read(xy, size_xy)``: a rectangle of the finished picture."""


class Jumps(NamedTuple):
    """Mean absolute differences of neighbouring pixels, in grey levels: across borders, and beside them."""

    across: float
    inside: float

    @property
    def ratio(self) -> float:
        """About 1 where no seam shows; infinite where only the borders jump."""
        if self.inside:
            return self.across / self.inside
        return math.inf if self.across else 1.0


class Piece(NamedTuple):
    """A strip around a piece of border, and whether the border runs down it or across."""

    xy: tuple[int, int]
    size_xy: tuple[int, int]
    runs_down: bool


def comparison_distance_px(scale: float, tile_px: int) -> int:
    """Output pixels from a border to the lines it is compared with: a period of the source, if that fits."""
    return max(1, min(round(SOURCE_PERIOD_PX * scale), tile_px // 2))


def measure(
    read: Read, size_xy: tuple[int, int], tile_px: int, scale: float, pieces: int = 256
) -> Jumps | None:
    """The jumps of a picture made of square tiles; None where it is a single one.

    Reads at most ``pieces`` strips, drawn with a fixed seed, one after another: memory does not grow with the
    picture.

    Args:
        tile_px: side of a tile of the picture; the first begins at (0, 0).
        scale: picture side over source side.
    """
    distance = comparison_distance_px(scale, tile_px)
    every = list(strips(size_xy, tile_px, distance))
    if not every:
        return None
    chosen = np.random.default_rng(0).choice(len(every), min(pieces, len(every)), replace=False)
    drawn = (every[i] for i in sorted(chosen.tolist()))
    return mean(jumps(_upright(read(p.xy, p.size_xy), p.runs_down), distance) for p in drawn)


def jumps(strip: UInt8[np.ndarray, "h w 3"], distance_px: int) -> Jumps:
    """The jumps of a strip whose border runs down its middle, ``w = 2 * distance_px + 2``."""
    middle = strip.shape[1] // 2
    left, across, right = (_jump(strip, middle + offset) for offset in (-distance_px, 0, distance_px))
    return Jumps(across, (left + right) / 2)


def mean(measured: Iterable[Jumps]) -> Jumps:
    """Means over strips, before the ratio is taken: glass, where nothing jumps, does not count."""
    across, inside = np.mean(list(measured), axis=0)
    return Jumps(float(across), float(inside))


def strips(size_xy: tuple[int, int], tile_px: int, distance_px: int) -> Iterator[Piece]:
    """Every piece of border with its surroundings: first those that run down, then those that run across."""
    w, h = size_xy
    thickness = 2 * distance_px + 2
    for x in _borders(w, tile_px, distance_px):
        for y in range(0, h, PIECE_PX):
            yield Piece((x - distance_px - 1, y), (thickness, min(PIECE_PX, h - y)), True)
    for y in _borders(h, tile_px, distance_px):
        for x in range(0, w, PIECE_PX):
            yield Piece((x, y - distance_px - 1), (min(PIECE_PX, w - x), thickness), False)


def _borders(side_px: int, tile_px: int, distance_px: int) -> range:
    """Where tiles meet along an axis, as far as there is room for a strip around."""
    return range(tile_px, side_px - distance_px, tile_px)


def _upright(strip: UInt8[np.ndarray, "h w 3"], runs_down: bool) -> UInt8[np.ndarray, "H W 3"]:
    return strip if runs_down else strip.transpose(1, 0, 2)


def _jump(strip: UInt8[np.ndarray, "h w 3"], column: int) -> float:
    """Mean absolute difference of a column and the one before it."""
    return float(np.abs(strip[:, column].astype(np.int16) - strip[:, column - 1]).mean())
