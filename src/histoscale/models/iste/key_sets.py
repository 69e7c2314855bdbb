"""Key sets: the textures that a cell may retrieve in Eq. 4. They belong to the model, not to the memory.

- ``all``: every output pixel of the image.
- ``queries``: the points that are decoded together. On a grid these are the points of one block of cells;
  blocks start at multiples of a fixed side.
- ``cells``: fixed points of the cells nearby. F_STF is then a low-resolution map that does not depend on the
  output grid.

With each of them the pixels of an image do not depend on how it is cut into tiles and blocks.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from histoscale.imaging.coords import output_positions
from histoscale.models.base import Cell, as_grid
from histoscale.models.iste.fusion import at_least_single, most_similar, unit
from histoscale.models.local_ensemble import corners, nearest_cells

KEY_SETS = ("all", "queries", "cells")
"""The names of the key sets."""

WHOLE_IMAGE_PX = 1 << 20
"""A halo that is wider than any image: the context of every tile is the whole image."""

_POINTS_AT_ONCE = 8192
"""Keys that the search among all output pixels computes together."""


class Places(NamedTuple):
    """Places to sample textures: the cell of each point, and the point's offset from the cell's centre."""

    cell: Int[Tensor, "g q"]
    offset: Float[Tensor, "g q 2"]


Texture = Callable[[Places], Float[Tensor, "g q c"]]
"""A function that computes F_TL at places."""


@torch.no_grad()
def among_all(
    queries: Float[Tensor, "1 n c"], texture: Texture, size: tuple[int, int], cell: Cell, t: int
) -> Places:
    """Find the most similar texture for each query among all output pixels, with offsets from corner ``t``.

    Args:
        queries: F_LFIC at n cells.
        texture: computes F_TL at places.
        size: height and width of the feature map.
        cell: size of an output pixel in low-resolution pixels.
        t: number of the corner.

    Returns:
        The place of the winner of each query, [1, n].
    """
    dtype = at_least_single(queries).dtype
    # The positions of the whole output, also when only a part of it is decoded.
    rows, cols = (
        output_positions(round(n / step), n).to(queries.device) for n, step in zip(size, cell, strict=True)
    )

    def places_of(positions: Float[Tensor, "1 q 2"]) -> Places:
        corner = corners(positions, size, dtype)[t]
        return Places(corner.cell, corner.offset)

    # Compute and compare keys stripe by stripe; all of them would not fit in memory.
    stripes = rows.split(max(1, _POINTS_AT_ONCE // len(cols)))
    keys = (unit(texture(places_of(as_grid(stripe, cols)[None]))) for stripe in stripes)
    winner = most_similar(queries, keys)  # number of the output pixel, row-major, [1, n]
    return places_of(torch.stack((rows[winner // len(cols)], cols[winner % len(cols)]), dim=-1))


@torch.no_grad()
def among_cells(
    queries: Float[Tensor, "1 n c"],
    texture: Texture,
    size: tuple[int, int],
    blocks: tuple[list[range], list[range]],
    points: Float[Tensor, "p 2"],
) -> tuple[Int[Tensor, " m"], Places]:
    """Find the most similar texture for each query in its window: its block of cells and one on each side.

    Args:
        queries: F_LFIC at every cell of the map.
        texture: computes F_TL at places.
        size: height and width of the feature map; windows end at its border.
        blocks: rows and columns of adjacent blocks; their cells are the queries.
        points: offsets of the p points of each cell that are keys.

    Returns:
        The numbers of the m cells of the blocks, row-major, and the place of the winner of each.
    """
    reach = [max(len(block) for block in along) for along in blocks]
    number = torch.arange(size[0] * size[1], device=queries.device).view(size)
    # 1. Keys: F_TL at the points of all cells that lie in any window, [p, rows, cols, c].
    region = [_around(_span(a), r, n) for a, r, n in zip(blocks, reach, size, strict=True)]
    held = number[_slice(region[0]), _slice(region[1])]
    offered = (Places(held.reshape(1, -1), p.expand(1, held.numel(), 2)) for p in points)
    keys = torch.stack([unit(texture(places))[0] for places in offered]).unflatten(1, held.shape)
    # The winner of each query: its cell, and which of the cell's points.
    cell, point = torch.zeros_like(number), torch.zeros_like(number)
    for block in product(*blocks):
        # 2. The window of this block, cut at the border of the map, as slices of `held` and `keys`.
        inside = tuple(map(_slice, block))
        window = [_around(b, r, n) for b, r, n in zip(block, reach, size, strict=True)]
        y, x = (slice(w.start - r.start, w.stop - r.start) for w, r in zip(window, region, strict=True))
        # 3. Search the keys point by point: winner = point * (cells of the window) + cell.
        winner = most_similar(
            queries[:, number[inside].flatten()], (k[y, x].reshape(1, -1, k.shape[-1]) for k in keys)
        )
        cells = held[y, x].flatten()
        cell[inside] = cells[winner % len(cells)].view(len(block[0]), len(block[1]))
        point[inside] = (winner // len(cells)).view(len(block[0]), len(block[1]))
    # 4. The cells of all blocks, row-major, and the winning place of each.
    found = tuple(_slice(_span(along)) for along in blocks)
    places = Places(cell[found].reshape(1, -1), points[point[found].reshape(1, -1)])
    return number[found].flatten(), places


def blocks_along(cells: range, side: int, n: int) -> list[range]:
    """Return blocks that cover ``cells`` and one cell on each side, on an axis of ``n`` cells.

    Blocks start at multiples of ``side`` cells.
    """
    # The corners of a point lie at most one cell away from the cell that contains it.
    first, last = max(cells.start - 1, 0), min(cells.stop, n - 1)
    return [range(b, min(b + side, n)) for b in range(first // side * side, last + 1, side)]


def complete_blocks(
    rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell, side: int, size: tuple[int, int]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " cols"], tuple[slice, slice]]:
    """Extend a grid to the borders of its outer blocks.

    Args:
        rows, cols: ascending positions.
        cell: distance between neighbouring rows and columns.
        side: side of a block in cells.
        size: height and width of the feature map; positions end at its border.

    Returns:
        The extended rows and columns, and the slices of them that hold the given ones.
    """
    (rows, kept_rows), (cols, kept_cols) = (
        _complete(axis.to(torch.float64), step, side, n)
        for axis, step, n in zip((rows, cols), cell, size, strict=True)
    )
    return rows, cols, (kept_rows, kept_cols)


def _complete(axis: Float[Tensor, " n"], step: float, side: int, n: int) -> tuple[Float[Tensor, " m"], slice]:
    """Extend one axis for `complete_blocks`."""
    first, last = nearest_cells(axis[[0, -1]]).tolist()
    steps = torch.arange(1, math.ceil(side / step) + 2, dtype=torch.float64, device=axis.device) * step
    # Add enough positions on each side to fill a block; drop those in other blocks or outside the map.
    before, after = axis[0] - steps.flip(0), axis[-1] + steps
    block = nearest_cells(before) // side == first // side
    before = before[block & (nearest_cells(before) >= 0)]
    block = nearest_cells(after) // side == last // side
    after = after[block & (nearest_cells(after) < n)]
    return torch.cat([before, axis, after]), slice(len(before), len(before) + len(axis))


def context(keys: str | None, window_px: int) -> tuple[int, int]:
    """Return halo and alignment of a tile, in cells, that give each cell the same keys as the whole image.

    Args:
        keys: name of the key set; None without self-texture.
        window_px: side of a block (``queries``) or of a window (``cells``), in cells.
    """
    near = 3  # one cell each for the corner, for the convolution after LFI and for the window of LFI
    if keys == "all":
        return WHOLE_IMAGE_PX, 1
    if keys == "queries":
        return near, window_px
    # A corner may lie in the next block, whose window ends one block later; TL's convolution adds a cell.
    return (2 * window_px // 3 + 1, window_px // 3) if keys == "cells" else (near, 1)


def points_in_cell(per_side: int) -> Float[Tensor, "p 2"]:
    """Return offsets of ``per_side`` x ``per_side`` evenly spaced points; a cell spans -1 to 1."""
    axis = (2 * torch.arange(per_side) + 1) / per_side - 1
    return as_grid(axis, axis)


def _around(block: range, reach: int, n: int) -> range:
    """Extend a block by ``reach`` cells on each side, within ``n`` cells."""
    return range(max(0, block.start - reach), min(n, block.stop + reach))


def _span(blocks: list[range]) -> range:
    """Join adjacent blocks."""
    return range(blocks[0].start, blocks[-1].stop)


def _slice(cells: range) -> slice:
    """Convert a range of cells to a slice."""
    return slice(cells.start, cells.stop)
