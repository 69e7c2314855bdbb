"""iste-fast: the texture learner rendered at the density of the input; bicubic plus waves per cell."""

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
    """Output of `FastISTE.encode`: the image for the bicubic part, and the head's input."""

    image: Float[Tensor, "b 3 h w"]
    hidden: Float[Tensor, "b c h w"]


class ScaleModulation(nn.Module):
    """A gain and a bias per channel, from the size of an output pixel: the larger, the more blur to expect.

    Starts as the identity.
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
        gain, bias = self.layers(cell.log2().to(hidden.dtype))[..., None, None].chunk(2, dim=1)
        return torch.addcmul(bias, hidden, 1 + gain)


class FourierSubPixelHead(nn.Module):
    """Features to a series per cell and colour: conv3x3, scale modulation, GELU, conv1x1."""

    def __init__(self, channels: int, hidden: int = 128, waves: int = 47):
        super().__init__()
        self.series = CellSeries(waves)
        self.spread = nn.Conv2d(channels, hidden, 3, padding=1)
        self.modulation = ScaleModulation(hidden)
        self.coefficients = nn.Conv2d(hidden, 3 * self.series.terms, 1)
        with torch.no_grad():  # starts at bicubic, almost
            for parameter in self.coefficients.parameters():
                parameter.normal_(std=1e-3)

    def per_cell(
        self, hidden: Float[Tensor, "b c h w"], cell: Float[Tensor, "#b 2"]
    ) -> Float[Tensor, "b k h w"]:
        """Compute the coefficients of every cell's series, colours outermost."""
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
        # Only the cells under the grid; gathered with channels last, as the convolutions want them.
        pixels = hidden.movedim(1, 3)
        needed = pixels.index_select(1, row_cells).index_select(2, col_cells).movedim(3, 1)
        coefficients = self.per_cell(needed, torch.tensor([cell], device=hidden.device))
        b, terms = hidden.shape[0], self.series.terms
        # Colours join the batch: a series each.
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
    """Bicubic interpolation plus windowed waves per low-resolution cell, from one EDSR trunk.

    Args:
        blocks, channels: EDSR's residual blocks and width; 8 x 48 is `iste-fast`, 16 x 64 `iste-fast-large`.
        hidden: width of the head.
        waves: sines per cell and colour.
    """

    def __init__(self, blocks: int = 8, channels: int = 48, hidden: int = 128, waves: int = 47):
        super().__init__()
        self.encoder = EDSREncoder(blocks, channels)
        self.head = FourierSubPixelHead(channels, hidden, waves)
        self.halo_px = self.encoder.halo_px + 1 + REACH

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> FastFeatures:
        """Compute the head's input; the image is kept for the bicubic part."""
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

    Cells outside the n of the map are replaced by the cell at its border.
    """
    first = math.floor(float(positions[0]) + 0.5) - REACH
    last = math.floor(float(positions[-1]) + 0.5) + REACH
    cells = torch.arange(first, last + 1, device=positions.device)
    return cells.clamp(0, n - 1), positions - first
