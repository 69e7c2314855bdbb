"""Compute colours from the maps of both branches: Eqs. 6 to 8 at scattered points and on a grid.

`retrieval` computes what is needed once per cell. The functions here do the work per point: they find the
four corners, apply both decoders and sum over the corners. A grid is decoded block by block.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from histoscale.models.base import Cell, as_grid
from histoscale.models.iste.branches import Branches, Maps
from histoscale.models.iste.key_sets import Places, complete_blocks
from histoscale.models.iste.retrieval import ImagesAtScale, PixelRows, cell_tables, rows_of_points, take
from histoscale.models.local_ensemble import CORNERS, Corner, corners, nearest_cells

_ROWS_AT_ONCE = {"cpu": 2048}
"""Points that the decoders process together without gradient, by device: this number fits a CPU's cache."""


# --- points -----------------------------------------------------------------------------------------------


def decode_points(
    branches: Branches, maps: Maps, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
) -> Float[Tensor, "b q 3"]:
    """Compute colours in [-1, 1] at scattered positions (row, column); each image searches its own keys."""
    # With the key set `all` the search runs image by image: decode each image separately.
    together = len(positions) if branches.keys != "all" and _decodes_together(positions) else 1
    groups = zip(maps.split(together), positions.split(together), cell.split(together), strict=True)
    every_cell = (range(maps.size[0]), range(maps.size[1]))
    colours = []
    for part, where, step in groups:
        images = ImagesAtScale(branches, part, step)
        colours.append(_colours(images, cell_tables(images, every_cell, on_grid=False), where))
    return torch.cat(colours)


def _decodes_together(positions: Float[Tensor, "b q 2"]) -> bool:
    """Tell whether to decode all images of a batch in one pass: only in training on an accelerator."""
    # On a CPU the points of one image stay in the cache from layer to layer. Without gradient each image is
    # searched once per distinct cell, and images have different cells.
    return positions.device.type != "cpu" and torch.is_grad_enabled()


def _colours(
    images: ImagesAtScale, tables: list[Tensor] | None, positions: Float[Tensor, "g q 2"]
) -> Float[Tensor, "g q 3"]:
    """Sum Eqs. 6 and 7 over the four corners t, weighted by S_t / S."""
    # 1. The corners: for each t the number of cell u_t, x_q - u_t and S_t / S.
    found = corners(positions, images.maps.size, images.maps.dtype)
    if torch.is_grad_enabled() and images.branches.keys != "all":
        # Stack the four corners: autograd then scatters into each map once instead of four times.
        found = [Corner(*(torch.cat(parts) for parts in zip(*found, strict=True)))]
    weighted = []
    for t, corner in enumerate(found):
        places = Places(images.number(corner.cell), corner.offset)
        # 2. The row of F_STF for each point: from the tables of all cells, or searched for these points.
        rows = rows_of_points(images, places, t) if tables is None else _rows_of_cells(tables, places, t)
        # 3. Decode each point, weight it by S_t / S.
        weighted.append(corner.weight[..., None] * _in_runs(images, places, rows))
    # 4. Stacked or not, the corners are outermost: sum [4, g, q, 3] over t.
    return torch.cat(weighted).view(len(CORNERS), *positions.shape[:2], 3).sum(dim=0)


def _rows_of_cells(tables: list[Tensor], places: Places, t: int) -> PixelRows:
    """Use the number of a point's cell as its row; all corners share one table, or each has one."""
    return PixelRows(tables[t % len(tables)] if tables else None, places.cell, None)


def _in_runs(images: ImagesAtScale, places: Places, rows: PixelRows) -> Float[Tensor, "k q 3"]:
    """Decode each point from its corner; without gradient in runs of points that fit the cache."""
    n = rows.row.shape[1]
    run = n if torch.is_grad_enabled() else _ROWS_AT_ONCE.get(rows.row.device.type, n)
    rgb = []
    for q in (slice(start, start + run) for start in range(0, n, run)):
        texture = None if rows.texture is None else rows.texture[:, q]
        some = Places(places.cell[:, q], places.offset[:, q])
        rgb.append(_added(images, some, PixelRows(rows.table, rows.row[:, q], texture)))
    return torch.cat(rgb, dim=1)


def _added(images: ImagesAtScale, places: Places, rows: PixelRows) -> Float[Tensor, "k q 3"]:
    """Add the colours of the two decoders: Eq. 8 before the sum over corners."""
    branches, colours = images.branches, []
    if branches.pixel_decoder is not None and rows.table is not None:
        # f_theta of Eq. 6; the table holds the product of F_STF and the first layer.
        projected = take(rows.table, rows.row)
        colours.append(branches.pixel_decoder(projected, places.offset, images.pixel_sizes(places)))
    if branches.texture_decoder is not None:
        # g_phi of Eq. 7; the search may have computed F_TL at these points already.
        texture = images.texture(places) if rows.texture is None else rows.texture
        colours.append(branches.texture_decoder(texture))
    return torch.stack(colours).sum(dim=0) if len(colours) > 1 else colours[0]


# --- grids ------------------------------------------------------------------------------------------------


def decode_grid(
    branches: Branches, maps: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
) -> Float[Tensor, "b 3 H W"]:
    """Compute colours in [-1, 1] on a grid, in blocks of cells that start at multiples of ``window_px``.

    With the key set ``queries`` the points of a block are its keys: a block is then computed as a whole, even
    if the grid covers only a part of it.
    """
    step = torch.tensor([cell], dtype=torch.float64, device=rows.device)
    inside = (slice(None), slice(None))
    if branches.fusion is not None and branches.keys == "queries":
        # Extend the grid to the borders of its outer blocks; crop the colours at the end.
        rows, cols, inside = complete_blocks(rows, cols, cell, branches.window_px, maps.size)
    # Cells that the grid covers, and its positions split into blocks, along each axis.
    decoded = (_cells_along(rows), _cells_along(cols))
    row_blocks, col_blocks = (_blocks_of(axis, branches.window_px) for axis in (rows, cols))
    outputs = []
    for part in maps.split(1):
        images = ImagesAtScale(branches, part, step)
        tables = cell_tables(images, decoded, on_grid=True)
        # Blocks from left to right make a stripe; stripes from top to bottom make the output.
        stripes = [
            torch.cat([_block(images, tables, some_rows, some_cols) for some_cols in col_blocks], dim=3)
            for some_rows in row_blocks
        ]
        outputs.append(torch.cat(stripes, dim=2)[:, :, inside[0], inside[1]])
    return torch.cat(outputs)


def _block(
    images: ImagesAtScale, tables: list[Tensor] | None, rows: Float[Tensor, " r"], cols: Float[Tensor, " k"]
) -> Float[Tensor, "1 3 r k"]:
    """Compute colours on the grid of one block, whose points are decoded together."""
    colours = _colours(images, tables, as_grid(rows, cols)[None])
    return colours.view(1, len(rows), len(cols), 3).permute(0, 3, 1, 2)


def _cells_along(axis: Float[Tensor, " n"]) -> range:
    """Return the range of cells that ascending positions lie in."""
    cells: list[int] = nearest_cells(axis[[0, -1]]).tolist()
    return range(cells[0], cells[1] + 1)


def _blocks_of(axis: Float[Tensor, " n"], side_px: int) -> tuple[Tensor, ...]:
    """Split ascending positions along an axis into blocks of ``side_px`` cells."""
    block = nearest_cells(axis) // side_px
    counts: Int[Tensor, " blocks"] = block.unique(return_counts=True)[1]
    return torch.split(axis, counts.tolist())
