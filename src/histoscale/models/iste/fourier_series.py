"""A series of waves per low-resolution cell, evaluated at any scale without an MLP per output pixel.

Each cell has the coefficients of the same few plane waves. This is Eq. 3 with frequencies that all cells
share and without a decoder. The series of a cell is multiplied by a window that ends one cell beyond its own
cell. The windows of neighbouring cells sum to 1, so no edges appear at the borders of cells.

Three methods evaluate the series and give the same result:

- `CellSeries._strided`: a strided convolution on a grid whose scale is a simple fraction.
- `CellSeries._separable`: two matrix products on any other grid.
- `CellSeries.scattered`: a gather at scattered positions.

**Shapes.** h x w cells, k terms of a series, n series (images times colours), q positions along an axis.
"""

import math
from fractions import Fraction

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.models.base import Cell

REACH = 1
"""Cells that the series of a cell reaches beyond its own cell, in each direction."""
LARGEST_STRIDE = 4
"""Largest q of a scale p / q that `CellSeries._strided` computes."""
BAND_CELLS = 24
"""Cells of one matrix product: more cells mean more zeros in its matrix, fewer cells a slower product."""


class CellSeries(nn.Module):
    """Windowed plane waves ``exp(-k |w|^2 cell^2) sin(w . d + phase)`` at offset d from a cell's centre.

    The exponential is the Gaussian point spread of an output pixel: it damps waves finer than a pixel.

    Args:
        waves: number of sines, in addition to one constant term.

    Attributes:
        terms: coefficients per cell and colour, ``waves + 1``.
    """

    def __init__(self, waves: int = 47):
        super().__init__()
        self.terms = waves + 1
        # Initial frequencies cover a disc evenly, up to one period per cell: directions in steps of an
        # irrational fraction of the half circle, radii by the square root. Phases likewise.
        angle = math.pi * (torch.arange(waves) * 0.6180339887 % 1)  # steps of the golden ratio
        radius = 2 * math.pi * ((torch.arange(waves) + 0.5) / waves).sqrt()
        self.frequency = nn.Parameter(torch.stack((radius * angle.sin(), radius * angle.cos()), dim=1))
        self.phase = nn.Parameter(2 * math.pi * (torch.arange(waves) * 0.7548776662 % 1))
        self.log_damping = nn.Parameter(torch.tensor(math.log(1 / 24)))

    def axis_tables(
        self, offsets: Float[Tensor, "*n"], axis: int, cell: Float[Tensor, "..."] | float
    ) -> tuple[Float[Tensor, "*n k"], Float[Tensor, "*n k"]]:
        """Compute the windowed, damped sine and cosine of every term along one axis.

        The phase is added on the axis of the rows.

        Args:
            offsets: signed distances from the centres of cells along the axis.
            axis: 0 for rows, 1 for columns.
            cell: size of an output pixel along the axis, in low-resolution pixels.
        """
        # The constant term comes first: frequency 0 and phase pi / 2, so its sine is 1.
        wave = nn.functional.pad(self.frequency[:, axis], (1, 0)).to(offsets.dtype)
        phase = nn.functional.pad(self.phase, (1, 0), value=math.pi / 2).to(offsets.dtype)
        # This axis' part of the angle w_row d_row + w_col d_col + phase.
        argument = offsets[..., None] * wave + (phase if axis == 0 else 0.0)
        # exp(-k |w|^2 cell^2) is a product of one factor per axis, and so is the window.
        damping = torch.exp(-self.log_damping.exp().to(offsets.dtype) * wave**2 * cell**2)
        envelope = raised_cosine(offsets)[..., None] * damping
        return envelope * argument.sin(), envelope * argument.cos()

    def grid(
        self,
        series: Float[Tensor, "n k h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,
    ) -> Float[Tensor, "n H W"]:
        """Sum the series on a grid of positions, counted from the first cell of ``series``.

        ``series`` must extend `REACH` cells beyond the first and the last position.
        """
        row_step, col_step = simple_period(rows, cell[0]), simple_period(cols, cell[1])
        if row_step and col_step:
            return self._strided(series, row_step, col_step, cell)
        return self._separable(series, rows, cols, cell)

    def _strided(
        self, series: Float[Tensor, "n k h w"], rows: tuple[int, int], cols: tuple[int, int], cell: Cell
    ) -> Float[Tensor, "n H W"]:
        """Evaluate the series at a scale p / q by one convolution of stride q.

        q cells give p pixels, whose positions within the cells repeat: p * p different kernels suffice.

        Args:
            rows, cols: (p, q) along each axis.
        """
        # 1. Sine and cosine of each of p pixels for the q + 2 REACH cells near it: [p, taps, k].
        row_sin, row_cos = self.axis_tables(phase_offsets(*rows).to(series.device), 0, cell[0])
        col_sin, col_cos = self.axis_tables(phase_offsets(*cols).to(series.device), 1, cell[1])
        # 2. sin(r + c) = sin r cos c + cos r sin c: the kernel of pixel (i, j) on cells (a, b).
        kernel = torch.einsum("iak,jbk->ijkab", row_sin, col_cos) + torch.einsum(
            "iak,jbk->ijkab", row_cos, col_sin
        )
        weight = kernel.flatten(0, 1).to(series.dtype).contiguous(memory_format=torch.channels_last)
        # 3. One output channel per pixel (i, j), then a pixel shuffle by p_rows x p_cols.
        phases = nn.functional.conv2d(series, weight, stride=(rows[1], cols[1]))
        n, _, h, w = phases.shape
        shuffled = phases.view(n, rows[0], cols[0], h, w).permute(0, 3, 1, 4, 2)
        return shuffled.reshape(n, h * rows[0], w * cols[0])

    def _separable(
        self,
        series: Float[Tensor, "n k h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,
    ) -> Float[Tensor, "n H W"]:
        """Evaluate the series at any scale: a matrix product over the rows, then one over the columns.

        sin(r + c) = sin r cos c + cos r sin c splits each wave into factors of the rows r and the columns c.
        """
        by_wave = series.permute(1, 2, 0, 3)  # k h n w
        # Each position depends on two cells only. Bands of positions avoid matrices of mostly zeros.
        row_bands = [self._band(rows[run], 0, cell[0], series) for run in runs_within(rows, BAND_CELLS)]
        col_bands = [self._band(cols[run], 1, cell[1], series) for run in runs_within(cols, BAND_CELLS)]
        strips = []
        for cells, (sines, cosines) in row_bands:
            # Rows: for each wave a matrix of r positions x c cells, sine above cosine.
            table = torch.cat((sines, cosines), dim=2).transpose(1, 2)  # k 2r c
            strip = table @ by_wave[:, cells].flatten(2)  # k 2r n*w
            waves = (
                strip.unflatten(2, series.shape[::3]).unflatten(1, (2, -1)).permute(3, 2, 0, 1, 4)
            )  # n r k 2 w
            # Columns: multiply by the other factor, sum over waves and cells.
            strips.append(torch.cat([across(waves, *band) for band in col_bands], dim=2))
        return torch.cat(strips, dim=1)

    def _band(
        self, positions: Float[Tensor, " q"], axis: int, cell: float, like: Tensor
    ) -> tuple[slice, tuple[Float[Tensor, "k c q"], Float[Tensor, "k c q"]]]:
        """Return the cells near a run of positions, and their sines and cosines at the positions."""
        taps, offsets = cells_around(positions)
        first, last = int(taps[0, 0]), int(taps[-1, -1])
        # [cells, q, k], zero except at the two cells of each position; then [k, cells, q].
        point = torch.arange(len(positions), device=taps.device)[:, None]
        sines, cosines = (
            values.new_zeros(last - first + 1, len(positions), self.terms)
            .index_put((taps - first, point), values)
            .permute(2, 0, 1)
            .to(like.dtype)
            for values in self.axis_tables(offsets, axis, cell)
        )
        return slice(first, last + 1), (sines, cosines)

    def scattered(
        self,
        series: Float[Tensor, "b 3 k h w"],
        positions: Float[Tensor, "b q 2"],
        cell: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b q 3"]:
        """Sum the series at scattered positions, counted from the first cell; repeat cells at the border."""
        b, _, k, h, w = series.shape
        # The coefficients of all colours of a cell in one row, so that one gather reads them.
        flat = series.permute(0, 3, 4, 1, 2).reshape(b, h * w, 3 * k)
        row_taps, row_offsets = cells_around(positions[..., 0])
        col_taps, col_offsets = cells_around(positions[..., 1])
        row_sin, row_cos = self.axis_tables(row_offsets, 0, cell[:, :1, None, None].to(positions))
        col_sin, col_cos = self.axis_tables(col_offsets, 1, cell[:, 1:, None, None].to(positions))
        result = series.new_zeros(b, positions.shape[1], 3)
        # Four cells: above and below the position, each to its left and right.
        for i in range(row_taps.shape[-1]):
            for j in range(col_taps.shape[-1]):
                index = row_taps[..., i].clamp(0, h - 1) * w + col_taps[..., j].clamp(0, w - 1)
                near = flat.gather(1, index[..., None].expand(-1, -1, 3 * k)).unflatten(2, (3, k))
                # sin(r + c) again, then the sum over the k terms.
                basis = row_sin[:, :, i] * col_cos[:, :, j] + row_cos[:, :, i] * col_sin[:, :, j]
                result = result + (near * basis[:, :, None].to(near.dtype)).sum(-1)
        return result


def raised_cosine(offsets: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Compute the window ``cos^2(pi d / 2)``, zero from one cell on; neighbouring windows sum to 1."""
    return torch.where(offsets.abs() < 1, (offsets * (math.pi / 2)).cos() ** 2, torch.zeros_like(offsets))


def cells_around(positions: Float[Tensor, "*n"]) -> tuple[Int[Tensor, "*n 2"], Float[Tensor, "*n 2"]]:
    """Return the cells before and after each position, and the signed distances to their centres."""
    first = positions.floor()
    cells = torch.stack((first, first + 1), dim=-1)
    return cells.long(), positions[..., None] - cells


def simple_period(positions: Float[Tensor, " q"], cell: float) -> tuple[int, int] | None:
    """Return (p, q) if p pixels cover q cells with a small q and start on a cell border, else None."""
    # Scale = 1 / cell = p / q. A large q would need a large kernel.
    ratio = Fraction(1 / cell).limit_denominator(LARGEST_STRIDE)
    p, q = ratio.numerator, ratio.denominator
    if abs(p / q * cell - 1) > 1e-9 or len(positions) % p:
        return None
    # The first of p pixels lies at 0.5 q / p - 0.5 from its cell; that cell must be number REACH.
    start = float(positions[0]) - (0.5 * q / p - 0.5)
    return (p, q) if abs(start - REACH) < 1e-6 else None


def phase_offsets(p: int, q: int) -> Float[Tensor, "p c"]:
    """Compute the signed distances from each of p pixels to its q cells and `REACH` more on each side."""
    pixels = (torch.arange(p, dtype=torch.float64) + 0.5) * q / p - 0.5
    return pixels[:, None] - torch.arange(-REACH, q + REACH, dtype=torch.float64)


def runs_within(positions: Float[Tensor, " q"], cells: int) -> list[slice]:
    """Split ascending positions into runs that each lie within ``cells`` cells."""
    group = ((positions.floor() - positions[0].floor()) // cells).tolist()
    starts = [i for i in range(len(group)) if i == 0 or group[i] != group[i - 1]]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(group)], strict=True)]


def across(
    waves: Float[Tensor, "n r k 2 w"],
    cells: slice,
    tables: tuple[Float[Tensor, "k c q"], Float[Tensor, "k c q"]],
) -> Float[Tensor, "n r q"]:
    """Compute sin r cos c + cos r sin c, summed over waves and cells."""
    near = waves[..., cells]
    # The axis of 2 is (sin r, cos r) in `waves` and (cos c, sin c) in `table`.
    table = torch.stack((tables[1], tables[0]), dim=1)  # k 2 c q
    product: Tensor = near.flatten(2) @ table.flatten(0, 2)
    return product
