"""LIT (Chen et al., CVPR 2023): attention over the 7 x 7 cells around each point (CLIT with one stage)."""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.models.base import Cell, CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import as_rows, interpolate, nearest_cells, pick, relative_cell

CELLS_AT_ONCE = 8
"""Side of the blocks of cells rendered together; a larger block needs more memory, 49 x heads x hidden
numbers per cell."""
REACH_PX = 3
SIDE = 2 * REACH_PX + 1
OCTAVES = 10
WAVES = 16


class LITFeatures(NamedTuple):
    """Output of `LIT.encode`.

    Attributes:
        image: the input.
        queries: the queries; a row per cell.
        keys, values: keys and values; a row per cell of the map with a border of ``REACH_PX`` zeros.
    """

    image: Float[Tensor, "b 3 h w"]
    queries: Float[Tensor, "b n c"]
    keys: Float[Tensor, "b m c"]
    values: Float[Tensor, "b m c"]


class LIT(CoordinateSuperResolver):
    """Local implicit transformer: a perceptron on the concatenated weighted neighbours, a bilinear skip.

    Logits are query times key plus a bias, which is a sine series of the offset. Each term of the series
    depends on one axis, so 7 rows and 7 columns are computed instead of 49 cells; the numbers are the same.
    On SwinIR, LIT has 16 931 695 parameters as published.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.
        width: channels of queries, keys and values; a multiple of ``heads``.
        heads: heads of the attention.
        hidden: width of the perceptron's four hidden layers.

    Raises:
        ConfigError: if the encoder is unknown.
    """

    frequencies: Tensor

    def __init__(
        self,
        encoder: str = "edsr",
        blocks: int | None = None,
        channels: int = 64,
        width: int = 256,
        heads: int = 8,
        hidden: int = 256,
    ):
        super().__init__()
        self.heads = heads
        self.encoder = build_encoder(encoder, blocks, channels)
        self.widen = nn.Conv2d(channels, width, 3, padding=1)
        self.queries, self.keys, self.values = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        # Its bias is the same for all neighbours, so the softmax cancels it; the published count includes it.
        self.place_bias = nn.Linear(4 * WAVES, heads)
        layers = [layer for _ in range(3) for layer in (nn.Linear(hidden, hidden), nn.GELU())]
        first = nn.Linear(SIDE**2 * width + 2, hidden)
        self.layers = nn.Sequential(first, nn.GELU(), *layers, nn.Linear(hidden, 3))
        frequencies = 2 ** torch.linspace(0, OCTAVES, WAVES, dtype=torch.float64) - 1
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.halo_px = self.encoder.halo_px + 2 + REACH_PX
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> LITFeatures:
        """Compute queries, keys and values of every cell."""
        wide = self.widen(self.encoder(image * 2 - 1))
        # A border of zeros, so that the window of every cell lies inside the map.
        keys, values = (
            as_rows(nn.functional.pad(conv(wide), (REACH_PX,) * 4)) for conv in (self.keys, self.values)
        )
        return LITFeatures(image, as_rows(self.queries(wide)), keys, values)

    def decode(
        self, features: LITFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column); each is a group of one point."""
        h, w = features.image.shape[2:]
        last = torch.tensor((h, w), device=positions.device) - 1
        nearest = nearest_cells(positions).clamp(min=0).minimum(last)
        return self._colours(features, nearest, positions[:, :, None], cell)[:, :, 0]

    def render(
        self, features: LITFeatures, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid of positions, in groups of points with the same nearest cell."""
        b, _, h, w = features.image.shape
        sizes = features.image.new_tensor(cell).expand(b, 2)
        out = features.image.new_empty(b, 3, len(rows), len(cols))
        for (cell_rows, of_row), (cell_cols, of_col) in product(_groups(rows, h), _groups(cols, w)):
            nearest = torch.cartesian_prod(cell_rows, cell_cols).expand(b, -1, -1)
            # The points of each cell: [cell rows, cell columns, rows in the cell, columns in the cell].
            axes = torch.broadcast_tensors(rows[of_row][:, None, :, None], cols[of_col][None, :, None, :])
            points = torch.stack(axes, dim=-1).flatten(2, 3).flatten(0, 1).expand(b, -1, -1, -1)
            colours = self._colours(features, nearest, points, sizes)
            # Back to rows x columns of the grid; repeated points write the same colour twice.
            block = colours.view(b, *axes[0].shape, 3).permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
            out[:, :, of_row.reshape(-1, 1), of_col.reshape(1, -1)] = block.to(out)
        return out

    def _colours(
        self,
        features: LITFeatures,
        nearest: Int[Tensor, "b n 2"],
        positions: Float[Tensor, "b n p 2"],
        cell: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b n p 3"]:
        """Compute RGB at ``p`` positions near each of ``n`` cells."""
        image, points = features.image, positions.flatten(1, 2)
        size = (image.shape[2], image.shape[3])
        # 1. Keys and values of the 49 cells around each cell, [b, n, 49, heads, d].
        window = _window(nearest, size[1])
        keys, values = (
            pick(rows, window.flatten(1)).view(*window.shape, self.heads, -1)
            for rows in (features.keys, features.values)
        )
        # 2. The query at each position, interpolated bilinearly, [b, n, p, heads, d].
        queries = interpolate(features.queries, points, size, "zero")
        queries = queries.view(*positions.shape[:3], self.heads, -1)
        # 3. Attention: q . k / sqrt(d) plus the bias of the offset, softmax over the 49 cells.
        logits = torch.einsum("bnphd,bnthd->bnpth", queries, keys) / math.sqrt(queries.shape[-1])
        shares = (logits + self._bias(positions - nearest[:, :, None]).to(logits)).softmax(dim=3)
        # 4. The perceptron on the weighted values; its output is added to the interpolated image.
        hidden = self._first_layer(shares, values, relative_cell(cell.to(image)))
        rgb: Tensor = self.layers[1:](hidden) * 0.5
        return interpolate(as_rows(image), points, size).view(*positions.shape[:3], 3) + rgb

    def _first_layer(
        self,
        shares: Float[Tensor, "b n p 49 heads"],
        values: Float[Tensor, "b n 49 heads d"],
        cell: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b n p hidden"]:
        """Apply the perceptron's first layer to the concatenated weighted neighbours and the cell."""
        first = cast(nn.Linear, self.layers[0])
        weight, of_cell = first.weight[:, :-2], first.weight[:, -2:]
        # One point per cell: weight the values, then multiply by the matrix.
        if shares.shape[2] == 1:
            hidden = nn.functional.linear((values * shares[:, :, 0, :, :, None]).flatten(2), weight)[
                :, :, None
            ]
        # Several points share the values of a cell: multiply by the matrix once, then weight the products.
        else:
            matrix = weight.view(-1, *values.shape[2:])
            table = torch.einsum("bnthd,kthd->bnthk", values, matrix)
            hidden = torch.einsum("bnpth,bnthk->bnpk", shares, table)
        return hidden + nn.functional.linear(cell, of_cell, first.bias)[:, None, None]

    def _bias(self, from_nearest: Float[Tensor, "b n p 2"]) -> Float[Tensor, "b n p 49 heads"]:
        """Compute the sine series of the offsets to the 49 cells."""
        # float64, because the highest term has a thousand periods per cell. Offsets of each axis to 7 steps:
        # [b, n, p, axis, 7], times 16 frequencies.
        steps = torch.arange(SIDE, device=from_nearest.device) - REACH_PX
        offsets = 2 * (from_nearest[..., None] - steps)
        angles = offsets[..., None] * self.frequencies.to(offsets)
        series = torch.stack((angles.sin(), angles.cos())).to(self.place_bias.weight)
        # The columns of the published matrix are [sine, cosine] x [row, column] x waves.
        matrix = self.place_bias.weight.view(self.heads, 2, 2, WAVES)
        with torch.autocast(offsets.device.type, enabled=False):
            rows, cols = (
                torch.einsum("fbnpsw,hfw->bnpsh", series[:, :, :, :, axis], matrix[:, :, axis])
                for axis in (0, 1)
            )
        # Each of 49 cells is a row plus a column.
        both: Tensor = (rows[..., :, None, :] + cols[..., None, :, :]).flatten(3, 4)
        return both + self.place_bias.bias


def _window(nearest: Int[Tensor, "b n 2"], w: int) -> Int[Tensor, "b n 49"]:
    """Number the 49 cells around each cell in the map with its border; ``w`` is the width of the map."""
    steps = torch.arange(SIDE, device=nearest.device)
    rows, cols = (nearest[..., axis, None] + steps for axis in (0, 1))
    return (rows[..., None] * (w + 2 * REACH_PX) + cols[..., None, :]).flatten(2)


def _groups(
    positions: Float[Tensor, " q"], n: int
) -> Iterator[tuple[Int[Tensor, " cells"], Int[Tensor, "cells p"]]]:
    """Yield blocks of cells along one axis, and the numbers of the ascending positions nearest to each cell.

    Cells with fewer positions than others repeat their last one, so that the numbers form a matrix.
    """
    nearest = nearest_cells(positions).clamp(0, n - 1)
    cells, counts = torch.unique_consecutive(nearest, return_counts=True)
    first = counts.cumsum(0) - counts
    within = torch.arange(int(counts.max()), device=positions.device)
    members = first[:, None] + torch.minimum(within, counts[:, None] - 1)
    return zip(cells.split(CELLS_AT_ONCE), members.split(CELLS_AT_ONCE), strict=True)
