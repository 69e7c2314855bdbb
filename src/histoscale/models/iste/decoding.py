"""From the maps of both branches to colour: Eqs. 6 to 8 at scattered points, and on a grid block by block.

`retrieval` does what is done once per cell. What is left per point passes through the two decoders in runs
that fit a processor's cache.
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
"""Points that pass through the decoders together where no gradient is kept; a CPU's cache holds so many."""


# --- points -----------------------------------------------------------------------------------------------


def decode_points(
    branches: Branches, maps: Maps, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
) -> Float[Tensor, "b q 3"]:
    """Colour in [-1, 1] at scattered positions (row, column); each image retrieves among its own points."""
    # The search among all output pixels runs image by image, so images stay apart there.
    together = len(positions) if branches.keys != "all" and _decodes_together(positions) else 1
    groups = zip(maps.split(together), positions.split(together), cell.split(together), strict=True)
    every_cell = (range(maps.size[0]), range(maps.size[1]))
    colours = []
    for part, where, step in groups:
        images = ImagesAtScale(branches, part, step)
        colours.append(_colours(images, cell_tables(images, every_cell, on_grid=False), where))
    return torch.cat(colours)


def _decodes_together(positions: Float[Tensor, "b q 2"]) -> bool:
    """Whether to decode all images of a batch in one pass.

    Not on a CPU, where one image's points stay in the cache from layer to layer; not without gradient, where
    each image has distinct cells of its own.
    """
    return positions.device.type != "cpu" and torch.is_grad_enabled()


def _colours(
    images: ImagesAtScale, tables: list[Tensor] | None, positions: Float[Tensor, "g q 2"]
) -> Float[Tensor, "g q 3"]:
    """The sums of Eqs. 6 and 7 over the four corners t, weighted by S_t / S."""
    found = corners(positions, images.maps.size, images.maps.dtype)
    if torch.is_grad_enabled() and images.branches.keys != "all":
        # The four corners stacked: autograd then scatters into each map once, not four times.
        found = [Corner(*(torch.cat(parts) for parts in zip(*found, strict=True)))]
    proposed = []
    for t, corner in enumerate(found):
        places = Places(images.number(corner.cell), corner.offset)
        # Row of F_STF for each point: from the tables of all cells, or searched for these points.
        rows = rows_of_points(images, places, t) if tables is None else _rows_of_cells(tables, places, t)
        proposed.append(corner.weight[..., None] * _in_runs(images, places, rows))
    # Corners outermost, stacked or not: [4, g, q, 3] summed over t.
    return torch.cat(proposed).view(len(CORNERS), *positions.shape[:2], 3).sum(dim=0)


def _rows_of_cells(tables: list[Tensor], places: Places, t: int) -> PixelRows:
    """A point's row is the number of its cell; one table serves all corners, or each has its own."""
    return PixelRows(tables[t % len(tables)] if tables else None, places.cell, None)


def _in_runs(images: ImagesAtScale, places: Places, rows: PixelRows) -> Float[Tensor, "k q 3"]:
    """What the corners propose for each point, run by run where no gradient is kept."""
    n = rows.row.shape[1]
    run = n if torch.is_grad_enabled() else _ROWS_AT_ONCE.get(rows.row.device.type, n)
    rgb = []
    for q in (slice(start, start + run) for start in range(0, n, run)):
        texture = None if rows.texture is None else rows.texture[:, q]
        some = Places(places.cell[:, q], places.offset[:, q])
        rgb.append(_proposed(images, some, PixelRows(rows.table, rows.row[:, q], texture)))
    return torch.cat(rgb, dim=1)


def _proposed(images: ImagesAtScale, places: Places, rows: PixelRows) -> Float[Tensor, "k q 3"]:
    """The two decoders' answers, added: Eq. 8 before the sum over corners."""
    branches, answers = images.branches, []
    if branches.pixel_decoder is not None and rows.table is not None:
        # f_theta of Eq. 6; the table holds its first layer on F_STF.
        projected = take(rows.table, rows.row)
        answers.append(branches.pixel_decoder(projected, places.offset, images.pixel_sizes(places)))
    if branches.texture_decoder is not None:
        # g_phi of Eq. 7, on F_TL.
        texture = images.texture(places) if rows.texture is None else rows.texture
        answers.append(branches.texture_decoder(texture))
    return torch.stack(answers).sum(dim=0) if len(answers) > 1 else answers[0]


# --- grids ------------------------------------------------------------------------------------------------


def decode_grid(
    branches: Branches, maps: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
) -> Float[Tensor, "b 3 H W"]:
    """Colour in [-1, 1] on a grid, by blocks of cells that start at multiples of ``window_px``.

    Where the points of a block retrieve together, a block is computed whole, also if the grid ends in it.
    """
    step = torch.tensor([cell], dtype=torch.float64, device=rows.device)
    inside = (slice(None), slice(None))
    if branches.fusion is not None and branches.keys == "queries":
        # Keys are the points of the block: continue the grid to the block's borders, crop at the end.
        rows, cols, inside = complete_blocks(rows, cols, cell, branches.window_px, maps.size)
    decoded = (_cells_along(rows), _cells_along(cols))
    row_blocks, col_blocks = (_blocks_of(axis, branches.window_px) for axis in (rows, cols))
    outputs = []
    for part in maps.split(1):
        images = ImagesAtScale(branches, part, step)
        tables = cell_tables(images, decoded, on_grid=True)
        stripes = [
            torch.cat([_block(images, tables, some_rows, some_cols) for some_cols in col_blocks], dim=3)
            for some_rows in row_blocks
        ]
        outputs.append(torch.cat(stripes, dim=2)[:, :, inside[0], inside[1]])
    return torch.cat(outputs)


def _block(
    images: ImagesAtScale, tables: list[Tensor] | None, rows: Float[Tensor, " r"], cols: Float[Tensor, " k"]
) -> Float[Tensor, "1 3 r k"]:
    """Colour on the grid of one block, whose points retrieve together."""
    colours = _colours(images, tables, as_grid(rows, cols)[None])
    return colours.view(1, len(rows), len(cols), 3).permute(0, 3, 1, 2)


def _cells_along(axis: Float[Tensor, " n"]) -> range:
    """The cells that ascending positions lie in."""
    cells: list[int] = nearest_cells(axis[[0, -1]]).tolist()
    return range(cells[0], cells[1] + 1)


def _blocks_of(axis: Float[Tensor, " n"], side_px: int) -> tuple[Tensor, ...]:
    """Positions along an axis, parted where their cells enter the next block of ``side_px`` cells."""
    block = nearest_cells(axis) // side_px
    counts: Int[Tensor, " blocks"] = block.unique(return_counts=True)[1]
    return torch.split(axis, counts.tolist())
