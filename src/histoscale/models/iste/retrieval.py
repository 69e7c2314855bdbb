"""Compute Eqs. 4 and 5 once per cell wherever the key set permits it.

F_STF depends on a point only through its cell. The search, the fusion and the product of F_STF and the pixel
decoder's first layer are therefore computed per cell, into a table with one row per cell; each point then
picks its row. With the key set ``queries`` the keys are the decoded points, so the table is computed for
those points.
"""

from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from histoscale.models.iste.branches import Branches, Maps
from histoscale.models.iste.decoders import LocalPixelDecoder
from histoscale.models.iste.fusion import SelfTextureFusion, most_similar, unit
from histoscale.models.iste.key_sets import Places, among_all, among_cells, blocks_along
from histoscale.models.iste.texture_learner import PlainTexture, TextureLearner
from histoscale.models.local_ensemble import CORNERS, pick, relative_cell


class ImagesAtScale:
    """The maps of one image, or of a group of g images in training, at one scale per image.

    **Convention.** Cells are numbered consecutively over all images: cell ``i`` of image ``n`` is row ``n * h
    * w + i`` of `queries` and of the spectrum. Four stacked corners make k = 4 g rows of places, corners
    outermost.

    Attributes:
        branches: the two branches of the model.
        maps: F_LFIC and the spectrum of the images.
        cell: size of an output pixel in low-resolution pixels, [g, 2].
        c: the decoders' input c, see `relative_cell`, [g, 2].
    """

    def __init__(self, branches: Branches, maps: Maps, cell: Float[Tensor, "g 2"]):
        self.branches, self.maps, self.cell = branches, maps, cell
        self.c = relative_cell(cell, branches.max_scale).to(maps.dtype)

    @property
    def queries(self) -> Float[Tensor, "m c"]:
        """F_LFIC at every cell of all images."""
        return cast(Tensor, self.maps.queries).flatten(0, 1)

    def number(self, cell: Int[Tensor, "k q"]) -> Int[Tensor, "k q"]:
        """Convert numbers of cells within each image to numbers over all images."""
        first = torch.arange(len(self.c), device=cell.device) * (self.maps.size[0] * self.maps.size[1])
        return cell + first.repeat(len(cell) // len(self.c))[:, None]

    def pixel_sizes(self, places: Places) -> Float[Tensor, "k 2"]:
        """Return c for each row of places; stacked corners repeat the c of the images."""
        return self.c.repeat(len(places.cell) // len(self.c), 1)

    def texture(self, places: Places, image: int | None = None) -> Float[Tensor, "k q c"]:
        """Compute F_TL at places, of all images or of the given one."""
        learner = cast(TextureLearner | PlainTexture, self.branches.learner)
        spectrum = cast(Tensor, self.maps.spectrum).flatten(0, 1)
        c = self.pixel_sizes(places) if image is None else self.c[image : image + 1]
        return learner.texture(take(spectrum, places.cell), places.offset, c)


class PixelRows(NamedTuple):
    """A table of F_STF multiplied by the pixel decoder's first layer, and the row of each point in it.

    Attributes:
        table: one row per cell; None without a pixel decoder.
        row: row of each point.
        texture: F_TL at the points if the search has computed it, else None.
    """

    table: Float[Tensor, "m hidden"] | None
    row: Int[Tensor, "k q"]
    texture: Float[Tensor, "k q c"] | None


def cell_tables(images: ImagesAtScale, decoded: tuple[range, range], on_grid: bool) -> list[Tensor] | None:
    """Compute F_STF times the pixel decoder's first layer at every cell: one table, or one per corner.

    Args:
        images: the maps and the branches; their key set selects the search.
        decoded: rows and columns of the cells to decode; only these cells need rows in the table.
        on_grid: whether the points form a grid, which needs every cell.

    Returns:
        The tables; an empty list without a pixel decoder. None if the table depends on the points that are
        decoded together: `rows_of_points` then computes it.
    """
    branches = images.branches
    if branches.pixel_decoder is None:
        return []
    # Without self-texture F_LFIC takes the place of F_STF.
    if branches.fusion is None:
        return [branches.pixel_decoder.project(images.queries)]
    # Keys are fixed points of the cells nearby: one table for every output grid.
    if branches.keys == "cells":
        return [torch.cat([_table_among_cells(images, n, decoded) for n in range(len(images.c))])]
    # Keys are all output pixels with their offsets from corner t: a search and a table per corner.
    if branches.keys == "all" and on_grid:
        queries = images.queries[None]
        winners = (_winners_among_all(images, queries, t) for t in range(len(CORNERS)))
        return [_fused(images, queries, images.texture(places)) for places in winners]
    return None


def rows_of_points(images: ImagesAtScale, places: Places, t: int) -> PixelRows:
    """Compute the table for points that are decoded together, where `cell_tables` returns None.

    Args:
        images: the maps and the branches.
        places: cell and offset of each point for corner ``t``, or for all four corners stacked.
        t: number of the corner.
    """
    cell, row = places.cell, torch.arange(places.cell.numel(), device=places.cell.device)
    if len(cell) == 1:
        # All points of a cell have the same query: search once for each distinct cell.
        distinct, row = torch.unique(cell, return_inverse=True)
        cell = distinct[None]
    queries = take(images.queries, cell)  # q of Eq. 4, [k, n, c]
    if images.branches.keys == "all":
        # Keys are all output pixels, so A is computed at the winners only.
        texture = None
        retrieved = images.texture(_winners_among_all(images, queries, t))
    else:
        # The keys k of Eq. 4 are F_TL at the points themselves.
        texture = images.texture(places)
        retrieved = pick(texture, most_similar(queries, [unit(texture)]))
    return PixelRows(_fused(images, queries, retrieved), row.view(places.cell.shape), texture)


def _winners_among_all(images: ImagesAtScale, queries: Float[Tensor, "1 n c"], t: int) -> Places:
    """Find the place of the most similar texture among all output pixels, with offsets from corner ``t``."""
    height, width = images.cell[0].tolist()
    return among_all(queries, images.texture, images.maps.size, (height, width), t)


def _table_among_cells(
    images: ImagesAtScale, image: int, decoded: tuple[range, range]
) -> Float[Tensor, "n hidden"]:
    """Compute the table of one image; rows of cells that are not needed are zero."""
    branches, (h, w) = images.branches, images.maps.size
    # A block has a third of the window's side: the window is the block and one block on each side.
    side = branches.window_px // 3
    blocks = [blocks_along(cells, side, n) for cells, n in zip(decoded, (h, w), strict=True)]
    # F_LFIC of this image: its cells start at row `first`.
    first = image * h * w
    queries = images.queries[None, first : first + h * w]

    def texture(places: Places) -> Tensor:
        # The search numbers the cells of one image from 0.
        return images.texture(Places(places.cell + first, places.offset), image)

    points = branches.points.to(images.c)
    cells, places = among_cells(queries, texture, (h, w), (blocks[0], blocks[1]), points)
    table = _fused(images, queries[:, cells], texture(places))
    if len(cells) == h * w:
        return table
    return table.new_zeros(h * w, table.shape[1]).index_copy(0, cells, table)


def _fused(
    images: ImagesAtScale, queries: Float[Tensor, "k n c"], retrieved: Float[Tensor, "k n c"]
) -> Tensor:
    """Compute F_STF of Eq. 5 and multiply it by the pixel decoder's first layer."""
    decoder = cast(LocalPixelDecoder, images.branches.pixel_decoder)
    fusion = cast(SelfTextureFusion, images.branches.fusion)
    return decoder.project(fusion(queries, retrieved)).flatten(0, 1)


def take(rows: Float[Tensor, "m c"], index: Int[Tensor, "k q"]) -> Float[Tensor, "k q c"]:
    """Pick the rows with the numbers ``index``."""
    return rows.index_select(0, index.flatten()).view(*index.shape, -1)
