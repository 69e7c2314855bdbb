"""Key sets: which textures a cell may retrieve in Eq. 4. A property of the model, never of the memory.

``all``: every output pixel of the image. ``queries``: the points decoded together; on a grid those of one
block of cells, whose blocks start at multiples of a fixed side. ``cells``: fixed points of the cells around,
so that F_STF is a map at low resolution that depends neither on the output grid nor on its blocks.

Whichever it is, the same image gives the same pixels, however it is cut into tiles and blocks.
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
"""The key sets by name."""

WHOLE_IMAGE_PX = 1 << 20
"""A halo so wide that every tile becomes the whole image."""

_POINTS_AT_ONCE = 8192
"""Keys computed together in the search among all output pixels."""


class Places(NamedTuple):
    """Where textures are sampled: the cell each point belongs to, and its offset from the cell's centre."""

    cell: Int[Tensor, "g q"]
    offset: Float[Tensor, "g q 2"]


Texture = Callable[[Places], Float[Tensor, "g q c"]]
"""F_TL at places."""


@torch.no_grad()
def among_all(
    queries: Float[Tensor, "1 n c"], texture: Texture, size: tuple[int, int], cell: Cell, t: int
) -> Places:
    """Find the most similar texture for each query among all output pixels, as corner ``t`` sees them.

    Args:
        queries: F_LFIC at n cells.
        texture: gives F_TL at places.
        size: height and width of the feature map.
        cell: size of an output pixel in low-resolution pixels; with ``size`` it gives the output's size.
        t: number of the corner.

    Returns:
        the place of the winner of each query, [1, n].
    """
    dtype = at_least_single(queries).dtype
    # The whole output grid, from its size alone: never from the part that is being decoded.
    rows, cols = (
        output_positions(round(n / step), n).to(queries.device) for n, step in zip(size, cell, strict=True)
    )

    def seen(positions: Float[Tensor, "1 q 2"]) -> Places:
        corner = corners(positions, size, dtype)[t]
        return Places(corner.cell, corner.offset)

    # Keys are made and compared stripe by stripe: never all of them in memory.
    stripes = rows.split(max(1, _POINTS_AT_ONCE // len(cols)))
    keys = (unit(texture(seen(as_grid(stripe, cols)[None]))) for stripe in stripes)
    winner = most_similar(queries, keys)  # number of the output pixel, row-major, [1, n]
    return seen(torch.stack((rows[winner // len(cols)], cols[winner % len(cols)]), dim=-1))


@torch.no_grad()
def among_cells(
    queries: Float[Tensor, "1 n c"],
    texture: Texture,
    size: tuple[int, int],
    blocks: tuple[list[range], list[range]],
    points: Float[Tensor, "p 2"],
) -> tuple[Int[Tensor, " m"], Places]:
    """Find the most similar texture for each query in its window: its block of cells and one on every side.

    Args:
        queries: F_LFIC at every cell of the map.
        texture: gives F_TL at places.
        size: height and width of the feature map, where windows end.
        blocks: rows and columns of adjacent blocks, whose cells are the queries.
        points: offsets of the p points that each cell offers as keys.

    Returns:
        The numbers of the m cells of the blocks, row-major, and the place of the winner of each.
    """
    reach = [max(len(block) for block in along) for along in blocks]
    number = torch.arange(size[0] * size[1], device=queries.device).view(size)
    # 1. F_TL at the points of all cells that some window holds, once: keys [p, rows, cols, c].
    region = [_around(_span(a), r, n) for a, r, n in zip(blocks, reach, size, strict=True)]
    held = number[_slice(region[0]), _slice(region[1])]
    offered = (Places(held.reshape(1, -1), p.expand(1, held.numel(), 2)) for p in points)
    keys = torch.stack([unit(texture(places))[0] for places in offered]).unflatten(1, held.shape)
    cell, point = torch.zeros_like(number), torch.zeros_like(number)
    for block in product(*blocks):
        # 2. The window of this block, cut at the map's border, in the coordinates of `held` and `keys`.
        inside = tuple(map(_slice, block))
        window = [_around(b, r, n) for b, r, n in zip(block, reach, size, strict=True)]
        y, x = (slice(w.start - r.start, w.stop - r.start) for w, r in zip(window, region, strict=True))
        # 3. Search point by point, so that winner = point * cells of the window + cell.
        winner = most_similar(
            queries[:, number[inside].flatten()], (k[y, x].reshape(1, -1, k.shape[-1]) for k in keys)
        )
        cells = held[y, x].flatten()
        cell[inside] = cells[winner % len(cells)].view(len(block[0]), len(block[1]))
        point[inside] = (winner // len(cells)).view(len(block[0]), len(block[1]))
    # 4. Cells and winning places of all blocks together, row-major.
    found = tuple(_slice(_span(along)) for along in blocks)
    places = Places(cell[found].reshape(1, -1), points[point[found].reshape(1, -1)])
    return number[found].flatten(), places


def blocks_along(cells: range, side: int, n: int) -> list[range]:
    """Blocks at multiples of ``side`` cells that hold these cells and their neighbours, on an axis of n."""
    # A point's corners lie at most one cell away from its own.
    first, last = max(cells.start - 1, 0), min(cells.stop, n - 1)
    return [range(b, min(b + side, n)) for b in range(first // side * side, last + 1, side)]


def complete_blocks(
    rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell, side: int, size: tuple[int, int]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " cols"], tuple[slice, slice]]:
    """Continue a grid to the borders of the blocks it ends in.

    Args:
        rows, cols: ascending positions.
        cell: distance from one position to the next, down and across.
        side: of a block, in cells.
        size: height and width of the feature map, beyond which there are no positions.

    Returns:
        The continued positions, and where among them the given ones lie.
    """
    (rows, kept_rows), (cols, kept_cols) = (
        _complete(axis.to(torch.float64), step, side, n)
        for axis, step, n in zip((rows, cols), cell, size, strict=True)
    )
    return rows, cols, (kept_rows, kept_cols)


def _complete(axis: Float[Tensor, " n"], step: float, side: int, n: int) -> tuple[Float[Tensor, " m"], slice]:
    """One axis of `complete_blocks`."""
    first, last = nearest_cells(axis[[0, -1]]).tolist()
    steps = torch.arange(1, math.ceil(side / step) + 2, dtype=torch.float64, device=axis.device) * step
    # Enough positions on either side to fill a block; those in other blocks or off the map are dropped.
    before, after = axis[0] - steps.flip(0), axis[-1] + steps
    block = nearest_cells(before) // side == first // side
    before = before[block & (nearest_cells(before) >= 0)]
    block = nearest_cells(after) // side == last // side
    after = after[block & (nearest_cells(after) < n)]
    return torch.cat([before, axis, after]), slice(len(before), len(before) + len(axis))


def context(keys: str | None, window_px: int) -> tuple[int, int]:
    """Halo and alignment of a tile, in cells, with which each cell has the keys of the whole image.

    Args:
        keys: name of the key set; None without self-texture.
        window_px: side of a block (``queries``) or of a window (``cells``), in cells.
    """
    near = 3  # a corner's cell, the convolution around it, the window of LFI around that
    if keys == "all":
        return WHOLE_IMAGE_PX, 1
    if keys == "queries":
        return near, window_px
    # A corner lies in the next block, whose window ends one block on; TL's convolution sees a cell more.
    return (2 * window_px // 3 + 1, window_px // 3) if keys == "cells" else (near, 1)


def points_in_cell(per_side: int) -> Float[Tensor, "p 2"]:
    """Offsets of ``per_side`` x ``per_side`` evenly spaced points of a cell, which reaches from -1 to 1."""
    axis = (2 * torch.arange(per_side) + 1) / per_side - 1
    return as_grid(axis, axis)


def _around(block: range, reach: int, n: int) -> range:
    """A block and ``reach`` cells more on either side, within n."""
    return range(max(0, block.start - reach), min(n, block.stop + reach))


def _span(blocks: list[range]) -> range:
    """Adjacent blocks as one."""
    return range(blocks[0].start, blocks[-1].stop)


def _slice(cells: range) -> slice:
    return slice(cells.start, cells.stop)
