"""From the maps of both branches to colour: Eqs. 4 to 8 at points or on a grid, each thing computed once.

F_STF depends on a point only through its cell, so search, fusion and what the pixel decoder's first layer
makes of them are done once per cell wherever the key set allows; what stays per point passes through the
decoders in runs that fit the cache.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from histoscale.models.base import Cell, as_grid
from histoscale.models.iste.branches import Branches, Maps
from histoscale.models.iste.decoders import LocalPixelDecoder
from histoscale.models.iste.fusion import SelfTextureFusion, most_similar, unit
from histoscale.models.iste.key_sets import Places, among_all, among_cells, blocks_along, complete_blocks
from histoscale.models.iste.texture_learner import PlainTexture, TextureLearner
from histoscale.models.local_ensemble import CORNERS, Corner, corners, nearest_cells, pick, relative_cell

_ROWS_AT_ONCE = {"cpu": 2048}
"""Points that pass through the decoders together where no gradient is kept; a CPU's cache holds so many."""


def decode_points(
    branches: Branches, maps: Maps, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
) -> Float[Tensor, "b q 3"]:
    """Colour in [-1, 1] at scattered positions (row, column); each image retrieves among its own."""
    together = len(positions) if branches.keys != "all" and _decodes_together(positions) else 1
    groups = zip(maps.split(together), positions.split(together), cell.split(together), strict=True)
    everywhere = (range(maps.size[0]), range(maps.size[1]))
    return torch.cat([_Decoding(branches, part, step, everywhere).at(where) for part, where, step in groups])


def decode_grid(
    branches: Branches, maps: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
) -> Float[Tensor, "b 3 H W"]:
    """Colour in [-1, 1] on a grid, by blocks of cells that start at multiples of ``window_px``.

    Where the points of a block retrieve together, a block is answered whole, also if the grid ends in it.
    """
    step = torch.tensor([cell], dtype=torch.float64, device=rows.device)
    inside = (slice(None), slice(None))
    if branches.fusion is not None and branches.keys == "queries":
        rows, cols, inside = complete_blocks(rows, cols, cell, branches.window_px, maps.size)
    wanted = (_cells_along(rows), _cells_along(cols))
    blocks = [_blocks_of(axis, branches.window_px) for axis in (rows, cols)]
    images = []
    for part in maps.split(1):
        decoding = _Decoding(branches, part, step, wanted, on_grid=True)
        stripes = [torch.cat([decoding.on(r, c) for c in blocks[1]], dim=3) for r in blocks[0]]
        images.append(torch.cat(stripes, dim=2)[:, :, inside[0], inside[1]])
    return torch.cat(images)


class _Decoding:
    """One image, or a group of images in training, at one scale."""

    def __init__(
        self,
        branches: Branches,
        maps: Maps,
        cell: Float[Tensor, "g 2"],
        wanted: tuple[range, range],
        on_grid: bool = False,
    ):
        self.branches, self.maps, self.cell = branches, maps, cell
        self.c = relative_cell(cell, branches.max_scale).to(maps.dtype)
        self.tables = self._tables(wanted, on_grid)

    def on(self, rows: Float[Tensor, " r"], cols: Float[Tensor, " k"]) -> Float[Tensor, "1 3 r k"]:
        """Colour on a grid of points that retrieve together."""
        return self.at(as_grid(rows, cols)[None]).view(1, len(rows), len(cols), 3).permute(0, 3, 1, 2)

    def at(self, positions: Float[Tensor, "g q 2"]) -> Float[Tensor, "g q 3"]:
        """The sums of Eqs. 6 and 7 over the four corners, weighted by S_t / S."""
        found = corners(positions, self.maps.size, self.maps.dtype)
        if torch.is_grad_enabled() and self.branches.keys != "all":
            # The four corners stacked: autograd then scatters into each map once, not four times.
            found = [Corner(*(torch.cat(parts) for parts in zip(*found, strict=True)))]
        proposed = [corner.weight[..., None] * self._propose(corner, t) for t, corner in enumerate(found)]
        return torch.cat(proposed).view(len(CORNERS), *positions.shape[:2], 3).sum(dim=0)

    def _propose(self, corner: Corner, t: int) -> Float[Tensor, "k q 3"]:
        """What corner ``t`` (or all four, stacked) makes of each point."""
        places = Places(self._number(corner.cell), corner.offset)
        table, row, texture = self._pixel_rows(places, t)
        n = row.shape[1]
        chunk = n if torch.is_grad_enabled() else _ROWS_AT_ONCE.get(row.device.type, n)
        rgb = []
        for q in (slice(start, start + chunk) for start in range(0, n, chunk)):
            some = Places(places.cell[:, q], places.offset[:, q])
            rgb.append(self._colour(some, table, row[:, q], None if texture is None else texture[:, q]))
        return torch.cat(rgb, dim=1)

    def _colour(
        self,
        places: Places,
        table: Float[Tensor, "m hidden"] | None,
        row: Int[Tensor, "k q"],
        texture: Float[Tensor, "k q c"] | None,
    ) -> Float[Tensor, "k q 3"]:
        """The two decoders' answers, added: Eq. 8 before the sum over corners."""
        branches, answers = self.branches, []
        if branches.pixel_decoder is not None and table is not None:
            answers.append(branches.pixel_decoder(_take(table, row), places.offset, self._c(places)))
        if branches.texture_decoder is not None:
            answers.append(branches.texture_decoder(self._texture(places) if texture is None else texture))
        return torch.stack(answers).sum(dim=0) if len(answers) > 1 else answers[0]

    def _pixel_rows(self, places: Places, t: int) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """F_STF behind the pixel decoder's first layer, as a table; each point's row of it; F_TL if made."""
        if self.tables is not None:
            return (self.tables[t % len(self.tables)] if self.tables else None), places.cell, None
        cell, row = places.cell, torch.arange(places.cell.numel(), device=places.cell.device)
        if len(cell) == 1:
            # F_STF differs only from cell to cell: search once for all points of a cell.
            distinct, row = torch.unique(cell, return_inverse=True)
            cell = distinct[None]
        queries = _take(self._queries, cell)
        if self.branches.keys == "all":
            texture = None
            retrieved = self._texture(self._among_all(queries, t))
        else:
            texture = self._texture(places)
            retrieved = pick(texture, most_similar(queries, [unit(texture)]))
        return self._fuse(queries, retrieved), row.view(places.cell.shape), texture

    def _tables(self, wanted: tuple[range, range], on_grid: bool) -> list[Tensor] | None:
        """F_STF behind the pixel decoder's first layer at every cell, one for all corners or one per corner.

        None where it depends on the points decoded together; no table without a pixel decoder.
        """
        branches = self.branches
        if branches.pixel_decoder is None:
            return []
        if branches.fusion is None:
            return [branches.pixel_decoder.project(self._queries)]
        if branches.keys == "cells":
            return [torch.cat([self._among_cells(image, wanted) for image in range(len(self.c))])]
        if branches.keys == "all" and on_grid:
            queries = self._queries[None]
            seen = (self._among_all(queries, t) for t in range(len(CORNERS)))
            return [self._fuse(queries, self._texture(places)) for places in seen]
        return None

    def _among_all(self, queries: Float[Tensor, "1 n c"], t: int) -> Places:
        height, width = self.cell[0].tolist()
        return among_all(queries, self._texture, self.maps.size, (height, width), t)

    def _among_cells(self, image: int, wanted: tuple[range, range]) -> Float[Tensor, "n hidden"]:
        """The table of one image; rows are zero at cells that no wanted cell has for a neighbour."""
        branches, (h, w) = self.branches, self.maps.size
        side = branches.window_px // 3
        blocks = [blocks_along(r, side, n) for r, n in zip(wanted, (h, w), strict=True)]
        first = image * h * w
        queries = self._queries[None, first : first + h * w]

        def texture(places: Places) -> Tensor:
            return self._texture(Places(places.cell + first, places.offset), image)

        points = branches.points.to(self.c)
        cells, places = among_cells(queries, texture, (h, w), (blocks[0], blocks[1]), points)
        table = self._fuse(queries[:, cells], texture(places))
        if len(cells) == h * w:
            return table
        return table.new_zeros(h * w, table.shape[1]).index_copy(0, cells, table)

    def _fuse(self, queries: Float[Tensor, "k n c"], retrieved: Float[Tensor, "k n c"]) -> Tensor:
        """F_STF, straight through the part of the pixel decoder's first layer that belongs to it."""
        decoder = cast(LocalPixelDecoder, self.branches.pixel_decoder)
        fusion = cast(SelfTextureFusion, self.branches.fusion)
        return decoder.project(fusion(queries, retrieved)).flatten(0, 1)

    def _texture(self, places: Places, image: int | None = None) -> Float[Tensor, "k q c"]:
        """F_TL at places, of all images or of one."""
        learner = cast(TextureLearner | PlainTexture, self.branches.learner)
        spectrum = cast(Tensor, self.maps.spectrum).flatten(0, 1)
        c = self._c(places) if image is None else self.c[image : image + 1]
        return learner.texture(_take(spectrum, places.cell), places.offset, c)

    @property
    def _queries(self) -> Float[Tensor, "m c"]:
        return cast(Tensor, self.maps.queries).flatten(0, 1)

    def _number(self, cell: Int[Tensor, "k q"]) -> Int[Tensor, "k q"]:
        """Cells numbered through over the images of the group; corners are stacked outside images."""
        first = torch.arange(len(self.c), device=cell.device) * (self.maps.size[0] * self.maps.size[1])
        return cell + first.repeat(len(cell) // len(self.c))[:, None]

    def _c(self, places: Places) -> Float[Tensor, "k 2"]:
        return self.c.repeat(len(places.cell) // len(self.c), 1)


def _decodes_together(positions: Float[Tensor, "b q 2"]) -> bool:
    """Whether to decode all images of a batch in one pass.

    Not on a CPU, where one image's points stay in the cache from layer to layer; not without gradient, where
    each image has distinct cells of its own.
    """
    return positions.device.type != "cpu" and torch.is_grad_enabled()


def _take(rows: Float[Tensor, "m c"], index: Int[Tensor, "k q"]) -> Float[Tensor, "k q c"]:
    return rows.index_select(0, index.flatten()).view(*index.shape, -1)


def _cells_along(axis: Float[Tensor, " n"]) -> range:
    cells = nearest_cells(axis[[0, -1]]).tolist()
    return range(cells[0], cells[1] + 1)


def _blocks_of(axis: Float[Tensor, " n"], side_px: int) -> tuple[Tensor, ...]:
    """Positions along an axis, parted where their cells enter the next block of ``side_px`` cells."""
    block = nearest_cells(axis) // side_px
    return torch.split(axis, block.unique(return_counts=True)[1].tolist())
