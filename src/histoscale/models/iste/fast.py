"""iste-fast, not in the paper: bicubic interpolation plus a series of waves per low-resolution cell."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.imaging.resize import bicubic_points, bicubic_render
from histoscale.models.base import Cell, CoordinateSuperResolver
from histoscale.models.encoders.edsr import EDSREncoder
from histoscale.models.iste.fourier_series import REACH, CellSeries


class FastFeatures(NamedTuple):
    """Output of `FastISTE.encode`: the image for the bicubic part, and the features for the head."""

    image: Float[Tensor, "b 3 h w"]
    hidden: Float[Tensor, "b c h w"]


class ScaleModulation(nn.Module):
    """A gain and a bias per channel, computed from the size of an output pixel.

    A larger output pixel means more blur, so the features depend on it. The module starts as the identity.
    """

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        last = nn.Linear(width, 2 * channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(2, width), nn.GELU(), last)

    def forward(
        self, hidden: Float[Tensor, "b c h w"], cell: Float[Tensor, "#b 2"]
    ) -> Float[Tensor, "b c h w"]:
        """Compute hidden * (1 + gain) + bias."""
        # log2 of the cell: -1 at x2, -2 at x4. The last layer starts at zero: gain 0, bias 0.
        gain, bias = self.layers(cell.log2().to(hidden.dtype))[..., None, None].chunk(2, dim=1)
        return torch.addcmul(bias, hidden, 1 + gain)


class FourierSubPixelHead(nn.Module):
    """Compute a series per cell and colour from features: conv3x3, scale modulation, GELU, conv1x1."""

    def __init__(self, channels: int, hidden: int = 128, waves: int = 47):
        super().__init__()
        self.series = CellSeries(waves)
        self.spread = nn.Conv2d(channels, hidden, 3, padding=1)
        self.modulation = ScaleModulation(hidden)
        self.coefficients = nn.Conv2d(hidden, 3 * self.series.terms, 1)
        with torch.no_grad():  # small coefficients: the untrained model is almost bicubic
            for parameter in self.coefficients.parameters():
                parameter.normal_(std=1e-3)

    def per_cell(
        self, hidden: Float[Tensor, "b c h w"], cell: Float[Tensor, "#b 2"]
    ) -> Float[Tensor, "b k h w"]:
        """Compute the coefficients of the series of every cell, [b, 3 * terms, h, w]."""
        modulated: Tensor = self.coefficients(nn.functional.gelu(self.modulation(hidden, cell)))
        return modulated

    def render(
        self,
        hidden: Float[Tensor, "b c h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,
    ) -> Float[Tensor, "b 3 H W"]:
        """Sum the series on a grid of positions."""
        row_cells, rows = cells_under(rows, hidden.shape[2])
        col_cells, cols = cells_under(cols, hidden.shape[3])
        # Only the cells that the grid needs, in channels-last layout, which the convolutions are fast in.
        pixels = hidden.movedim(1, 3)
        needed = pixels.index_select(1, row_cells).index_select(2, col_cells).movedim(3, 1)
        coefficients = self.per_cell(needed, torch.tensor([cell], device=hidden.device))
        b, terms = hidden.shape[0], self.series.terms
        # Each colour is a series: colours join the batch, [b * 3, terms, h, w].
        by_colour = (
            coefficients.unflatten(1, (3, terms)).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        )
        rendered: Tensor = self.series.grid(by_colour, rows, cols, cell).unflatten(0, (b, 3))
        return rendered

    def decode(
        self, hidden: Float[Tensor, "b c h w"], positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Sum the series at scattered positions."""
        coefficients = self.per_cell(hidden, cell.to(hidden.device))
        return self.series.scattered(coefficients.unflatten(1, (3, -1)), positions, cell)


class FastISTE(CoordinateSuperResolver):
    """Bicubic interpolation plus windowed waves per low-resolution cell, computed by EDSR and one head.

    Args:
        blocks, channels: residual blocks and width of EDSR; 8 and 48 for `iste-fast`, 16 and 64 for
            `iste-fast-large`.
        hidden: width of the head.
        waves: sines per cell and colour.
    """

    def __init__(self, blocks: int = 8, channels: int = 48, hidden: int = 128, waves: int = 47):
        super().__init__()
        self.encoder = EDSREncoder(blocks, channels)
        self.head = FourierSubPixelHead(channels, hidden, waves)
        # The head's conv3x3 adds a pixel, the series REACH cells.
        self.halo_px = self.encoder.halo_px + 1 + REACH

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> FastFeatures:
        """Compute the features for the head; keep the image for the bicubic part."""
        return FastFeatures(image, self.head.spread(self.encoder(image * 2 - 1)))

    def decode(
        self, features: FastFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        return bicubic_points(features.image, positions) + self.head.decode(features.hidden, positions, cell)

    def render(
        self, features: FastFeatures, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid of positions."""
        return bicubic_render(features.image, rows, cols) + self.head.render(
            features.hidden, rows, cols, cell
        )


def cells_under(positions: Float[Tensor, " q"], n: int) -> tuple[Int[Tensor, " c"], Float[Tensor, " q"]]:
    """Return the cells that ascending positions need, and the positions counted from the first cell.

    Cells outside the map of ``n`` cells are replaced by the nearest cell inside.
    """
    # The series of a cell reaches REACH cells beyond its own cell.
    first = math.floor(float(positions[0]) + 0.5) - REACH
    last = math.floor(float(positions[-1]) + 0.5) + REACH
    cells = torch.arange(first, last + 1, device=positions.device)
    return cells.clamp(0, n - 1), positions - first
