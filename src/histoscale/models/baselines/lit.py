"""LIT (Chen et al., CVPR 2023): attention over the 7 x 7 cells around each point; CLIT with one stage."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.models.base import Cell, CoordinateSuperResolver, decode_grid
from histoscale.models.encoders.build import build_encoder
from histoscale.models.local_ensemble import as_rows, interpolate, nearest_cells, pick, relative_cell

POINTS_AT_ONCE = 512
"""Output pixels rendered together, 49 neighbours each."""
REACH_PX = 3
SIDE = 2 * REACH_PX + 1
OCTAVES = 10
WAVES = 16


class LITFeatures(NamedTuple):
    """What `LIT.encode` keeps.

    Attributes:
        image: the input.
        queries: a row per cell.
        keys, values: a row per cell of the map with a border of ``REACH_PX`` zeros.
    """

    image: Float[Tensor, "b 3 h w"]
    queries: Float[Tensor, "b n c"]
    keys: Float[Tensor, "b m c"]
    values: Float[Tensor, "b m c"]


class LIT(CoordinateSuperResolver):
    """Local implicit transformer: weighted neighbours, side by side, to colour; a bilinear skip.

    Logits are query times key plus a bias, a sine series of the offset. Each term of the series runs along
    one axis, so 7 rows and 7 columns are computed instead of 49 cells. Same numbers. On SwinIR, LIT has
    16 931 695 parameters as published.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: of the encoder; the published number of blocks if None.
        width: of queries, keys and values, a multiple of ``heads``.
        heads: of the attention.
        hidden: of the perceptron's four hidden layers.

    Raises:
        ConfigError: for an unknown encoder.
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
        # what its bias adds to all neighbours the softmax takes away: kept for the published count
        self.place_bias = nn.Linear(4 * WAVES, heads)
        layers = [layer for _ in range(3) for layer in (nn.Linear(hidden, hidden), nn.GELU())]
        first = nn.Linear(SIDE**2 * width + 2, hidden)
        self.layers = nn.Sequential(first, nn.GELU(), *layers, nn.Linear(hidden, 3))
        frequencies = 2 ** torch.linspace(0, OCTAVES, WAVES, dtype=torch.float64) - 1
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.halo_px = self.encoder.halo_px + 2 + REACH_PX
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> LITFeatures:
        """Queries, keys and values of every cell."""
        wide = self.widen(self.encoder(image * 2 - 1))
        keys, values = (
            as_rows(nn.functional.pad(conv(wide), (REACH_PX,) * 4)) for conv in (self.keys, self.values)
        )
        return LITFeatures(image, as_rows(self.queries(wide)), keys, values)

    def decode(
        self, features: LITFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """RGB at scattered positions (row, column)."""
        image = features.image
        size = (image.shape[2], image.shape[3])
        last = torch.tensor(size, device=positions.device) - 1
        nearest = nearest_cells(positions).clamp(min=0).minimum(last)
        window = self._window(nearest, size[1])
        share = self._attention(features, positions, nearest, window, size)
        values = pick(features.values, window.flatten(1)).view(*window.shape, self.heads, -1)
        weighted = (values * share[..., None]).flatten(2)
        cells = relative_cell(cell.to(image))[:, None].expand(-1, positions.shape[1], -1)
        rgb: Tensor = self.layers(torch.cat((weighted, cells), dim=-1))
        return interpolate(as_rows(image), positions, size) + rgb * 0.5

    def _window(self, nearest: Int[Tensor, "b q 2"], w: int) -> Int[Tensor, "b q 49"]:
        """Numbers of the 49 cells in the map with its border."""
        steps = torch.arange(SIDE, device=nearest.device)
        rows, cols = (nearest[..., axis, None] + steps for axis in (0, 1))
        return (rows[..., None] * (w + 2 * REACH_PX) + cols[..., None, :]).flatten(2)

    def _attention(
        self,
        features: LITFeatures,
        positions: Float[Tensor, "b q 2"],
        nearest: Int[Tensor, "b q 2"],
        window: Int[Tensor, "b q 49"],
        size: tuple[int, int],
    ) -> Float[Tensor, "b q 49 heads"]:
        """How much each head looks at each neighbour."""
        query = interpolate(features.queries, positions, size, "zero").unflatten(-1, (self.heads, -1))
        keys = pick(features.keys, window.flatten(1)).view(*window.shape, self.heads, -1)
        logits = torch.einsum("bqhd,bqthd->bqth", query, keys) / math.sqrt(query.shape[-1])
        return (logits + self._bias(positions - nearest).to(logits)).softmax(dim=2)

    def _bias(self, from_nearest: Float[Tensor, "b q 2"]) -> Float[Tensor, "b q 49 heads"]:
        """The sine series of the offset; its highest term turns a thousand times a cell, hence float64."""
        steps = torch.arange(SIDE, device=from_nearest.device) - REACH_PX
        offsets = 2 * (from_nearest[..., None] - steps)
        angles = offsets[..., None] * self.frequencies.to(offsets)
        series = torch.stack((angles.sin(), angles.cos())).to(self.place_bias.weight)
        # [sine, cosine] x [row, column] x waves are the columns of the published matrix
        matrix = self.place_bias.weight.view(self.heads, 2, 2, WAVES)
        with torch.autocast(offsets.device.type, enabled=False):
            rows, cols = (
                torch.einsum("pbqsw,hpw->bqsh", series[:, :, :, axis], matrix[:, :, axis]) for axis in (0, 1)
            )
        both: Tensor = (rows[..., :, None, :] + cols[..., None, :, :]).flatten(2, 3)
        return both + self.place_bias.bias

    def render(
        self, features: LITFeatures, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """RGB on a grid of positions, a few at a time."""
        cells = features.image.new_tensor(cell).expand(len(features.image), 2)
        return decode_grid(self, features, rows, cols, cells, POINTS_AT_ONCE)
