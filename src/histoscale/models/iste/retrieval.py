"""What the pixel decoder sees of each cell: Eqs. 4 and 5 once per cell wherever the key set allows it.

F_STF depends on a point only through its cell. Search, fusion and the pixel decoder's first layer on F_STF
are therefore computed per cell, into a table of one row per cell; a point then only picks its row. With the
key set ``queries`` in training, keys are the points themselves, so the table belongs to those points.
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

    **Convention.** The cells of all images are numbered through: cell ``i`` of image ``n`` is row ``n * h * w
    + i`` of `queries` and of the spectrum. Where the four corners are stacked, they are stacked outside the
    images: k = 4 g rows of places.

    Attributes:
        branches: the model's two branches.
        maps: F_LFIC and the spectrum of the images.
        cell: size of an output pixel in low-resolution pixels, [g, 2].
        c: the same as the decoders see it, [g, 2].
    """

    def __init__(self, branches: Branches, maps: Maps, cell: Float[Tensor, "g 2"]):
        self.branches, self.maps, self.cell = branches, maps, cell
        self.c = relative_cell(cell, branches.max_scale).to(maps.dtype)

    @property
    def queries(self) -> Float[Tensor, "m c"]:
        """F_LFIC at every cell of every image."""
        return cast(Tensor, self.maps.queries).flatten(0, 1)

    def number(self, cell: Int[Tensor, "k q"]) -> Int[Tensor, "k q"]:
        """Number cells, given image by image, through over all images."""
        first = torch.arange(len(self.c), device=cell.device) * (self.maps.size[0] * self.maps.size[1])
        return cell + first.repeat(len(cell) // len(self.c))[:, None]

    def pixel_sizes(self, places: Places) -> Float[Tensor, "k 2"]:
        """c for each row of places: once per image, repeated where corners are stacked."""
        return self.c.repeat(len(places.cell) // len(self.c), 1)

    def texture(self, places: Places, image: int | None = None) -> Float[Tensor, "k q c"]:
        """F_TL at places, of all images or of one."""
        learner = cast(TextureLearner | PlainTexture, self.branches.learner)
        spectrum = cast(Tensor, self.maps.spectrum).flatten(0, 1)
        c = self.pixel_sizes(places) if image is None else self.c[image : image + 1]
        return learner.texture(take(spectrum, places.cell), places.offset, c)


class PixelRows(NamedTuple):
    """F_STF behind the first layer of the pixel decoder, as a table, and how points find their rows in it.

    Attributes:
        table: one row per cell; None without a pixel decoder.
        row: row of each point.
        texture: F_TL at the points where the search computed it anyway, else None.
    """

    table: Float[Tensor, "m hidden"] | None
    row: Int[Tensor, "k q"]
    texture: Float[Tensor, "k q c"] | None


def cell_tables(images: ImagesAtScale, decoded: tuple[range, range], on_grid: bool) -> list[Tensor] | None:
    """F_STF behind the pixel decoder's first layer at every cell: one table, or one per corner.

    Args:
        images: with their branches, whose key set decides.
        decoded: rows and columns of the cells that will be decoded; only they need rows in the table.
        on_grid: whether the points are those of a grid, so that every cell will be asked for.

    Returns:
        The tables; none without a pixel decoder. None where a table depends on the points that are decoded
        together: `rows_of_points` then makes it.
    """
    branches = images.branches
    if branches.pixel_decoder is None:
        return []
    # No self-texture: F_LFIC takes the place of F_STF.
    if branches.fusion is None:
        return [branches.pixel_decoder.project(images.queries)]
    # Keys are fixed points of the cells around: one table, whatever the output grid.
    if branches.keys == "cells":
        return [torch.cat([_table_among_cells(images, n, decoded) for n in range(len(images.c))])]
    # Keys are all output pixels as each corner sees them: a search and a table per corner.
    if branches.keys == "all" and on_grid:
        queries = images.queries[None]
        winners = (_winners_among_all(images, queries, t) for t in range(len(CORNERS)))
        return [_fused(images, queries, images.texture(places)) for places in winners]
    return None


def rows_of_points(images: ImagesAtScale, places: Places, t: int) -> PixelRows:
    """F_STF for points that are decoded together, where `cell_tables` is None.

    Args:
        places: cell and offset of each point, seen from corner ``t`` or from all four, stacked.
        t: number of the corner.
    """
    cell, row = places.cell, torch.arange(places.cell.numel(), device=places.cell.device)
    if len(cell) == 1:
        # F_STF differs only from cell to cell: search once for all points of a cell.
        distinct, row = torch.unique(cell, return_inverse=True)
        cell = distinct[None]
    queries = take(images.queries, cell)  # q of Eq. 4, [k, n, c]
    if images.branches.keys == "all":
        texture = None
        retrieved = images.texture(_winners_among_all(images, queries, t))
    else:
        # The keys of Eq. 4 are F_TL at the points themselves.
        texture = images.texture(places)
        retrieved = pick(texture, most_similar(queries, [unit(texture)]))
    return PixelRows(_fused(images, queries, retrieved), row.view(places.cell.shape), texture)


def _winners_among_all(images: ImagesAtScale, queries: Float[Tensor, "1 n c"], t: int) -> Places:
    """Where the most similar texture among all output pixels of the image lies, seen from corner ``t``."""
    height, width = images.cell[0].tolist()
    return among_all(queries, images.texture, images.maps.size, (height, width), t)


def _table_among_cells(
    images: ImagesAtScale, image: int, decoded: tuple[range, range]
) -> Float[Tensor, "n hidden"]:
    """The table of one image; rows are zero at cells that no decoded cell has for a neighbour."""
    branches, (h, w) = images.branches, images.maps.size
    # Blocks of a third of the window: a block and one more on every side make the window.
    side = branches.window_px // 3
    blocks = [blocks_along(cells, side, n) for cells, n in zip(decoded, (h, w), strict=True)]
    first = image * h * w
    queries = images.queries[None, first : first + h * w]

    def texture(places: Places) -> Tensor:
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
    """F_STF of Eq. 5, straight through the part of the pixel decoder's first layer that belongs to it."""
    decoder = cast(LocalPixelDecoder, images.branches.pixel_decoder)
    fusion = cast(SelfTextureFusion, images.branches.fusion)
    return decoder.project(fusion(queries, retrieved)).flatten(0, 1)


def take(rows: Float[Tensor, "m c"], index: Int[Tensor, "k q"]) -> Float[Tensor, "k q c"]:
    """Pick rows by their numbers."""
    return rows.index_select(0, index.flatten()).view(*index.shape, -1)
