"""A texture series per low-resolution cell, rendered at any density without an MLP per output pixel.

Every cell carries the coefficients of the same few plane waves: Eq. 3 with its frequencies shared by all
cells and its decoder removed. A cell's series reaches one cell beyond its own, faded by a window; the windows
of neighbouring cells add up to one, so there is no edge at cell borders.

There are three ways to evaluate it, with one result: a strided convolution where the scale is a simple
fraction (`CellSeries._strided`), two matrix products elsewhere (`CellSeries._separable`), a gather at
scattered points (`CellSeries.scattered`).

**Shapes.** h x w cells, k terms of a series, n series (images times colours), q positions along an axis.
"""

import math
from fractions import Fraction

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.models.base import Cell

REACH = 1
"""Cells beyond its own that a series reaches, each way."""
LARGEST_STRIDE = 4
"""Scales p / q up to this q are computed by convolution."""
BAND_CELLS = 24
"""Cells that one matrix product spans: its matrix holds few zeros, yet the product is large enough."""


class CellSeries(nn.Module):
    """Windowed plane waves ``exp(-k |w|^2 cell^2) sin(w . d + phase)`` at offset d from a cell's centre.

    The exponential is the Gaussian point spread of an output pixel: it damps what is finer than a pixel.

    Args:
        waves: number of sines; one constant is added.

    Attributes:
        terms: coefficients per cell and colour, ``waves + 1``.
    """

    def __init__(self, waves: int = 47):
        super().__init__()
        self.terms = waves + 1
        # Directions and frequencies spread evenly, up to one period per cell; steps by irrational shares.
        angle = math.pi * (torch.arange(waves) * 0.6180339887 % 1)  # golden-ratio spread over the half circle
        radius = 2 * math.pi * ((torch.arange(waves) + 0.5) / waves).sqrt()
        self.frequency = nn.Parameter(torch.stack((radius * angle.sin(), radius * angle.cos()), dim=1))
        self.phase = nn.Parameter(2 * math.pi * (torch.arange(waves) * 0.7548776662 % 1))
        self.log_damping = nn.Parameter(torch.tensor(math.log(1 / 24)))

    def axis_tables(
        self, offsets: Float[Tensor, "*n"], axis: int, cell: Float[Tensor, "..."] | float
    ) -> tuple[Float[Tensor, "*n k"], Float[Tensor, "*n k"]]:
        """Windowed, damped sine and cosine of every term along one axis; the phase goes with the rows.

        Args:
            offsets: signed distances from cells' centres along the axis.
            axis: 0 for rows, 1 for columns.
            cell: size of an output pixel along the axis, in low-resolution pixels.
        """
        # The constant is a wave of frequency 0: with phase pi / 2 its sine is 1.
        wave = nn.functional.pad(self.frequency[:, axis], (1, 0)).to(offsets.dtype)
        phase = nn.functional.pad(self.phase, (1, 0), value=math.pi / 2).to(offsets.dtype)
        # sin(w . d + phase) with w . d = w_row d_row + w_col d_col: the part of this axis.
        argument = offsets[..., None] * wave + (phase if axis == 0 else 0.0)
        # exp(-k |w|^2 cell^2) splits into a factor per axis, and so does the window.
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

        The grid starts and ends `REACH` cells inside the cells given.
        """
        row_step, col_step = simple_period(rows, cell[0]), simple_period(cols, cell[1])
        if row_step and col_step:
            return self._strided(series, row_step, col_step, cell)
        return self._separable(series, rows, cols, cell)

    def _strided(
        self, series: Float[Tensor, "n k h w"], rows: tuple[int, int], cols: tuple[int, int], cell: Cell
    ) -> Float[Tensor, "n H W"]:
        """Scale p / q: q cells give p pixels, so one convolution of stride q makes all p * p phases.

        Args:
            rows, cols: (p, q) along either axis.
        """
        # 1. Sine and cosine from each of p pixels to the q + 2 REACH cells it may touch: [p, taps, k].
        row_sin, row_cos = self.axis_tables(phase_offsets(*rows).to(series.device), 0, cell[0])
        col_sin, col_cos = self.axis_tables(phase_offsets(*cols).to(series.device), 1, cell[1])
        # 2. sin(a + b) = sin a cos b + cos a sin b: the kernel of output phase (i, j) on cells (a, b).
        kernel = torch.einsum("iak,jbk->ijkab", row_sin, col_cos) + torch.einsum(
            "iak,jbk->ijkab", row_cos, col_sin
        )
        weight = kernel.flatten(0, 1).to(series.dtype).contiguous(memory_format=torch.channels_last)
        # 3. One output channel a phase; then a pixel shuffle, p_rows x p_cols apart.
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
        """Any scale: sin(a + b) = sin a cos b + cos a sin b, a product over rows, then one over columns."""
        by_wave = series.permute(1, 2, 0, 3)  # k h n w
        # A position touches two cells only: bands of positions keep the matrices from being mostly zeros.
        row_bands = [self._band(rows[run], 0, cell[0], series) for run in runs_within(rows, BAND_CELLS)]
        col_bands = [self._band(cols[run], 1, cell[1], series) for run in runs_within(cols, BAND_CELLS)]
        strips = []
        for cells, (sines, cosines) in row_bands:
            # Rows: for each wave, r positions times c cells, sine and cosine at once.
            table = torch.cat((sines, cosines), dim=2).transpose(1, 2)  # k 2r c
            strip = table @ by_wave[:, cells].flatten(2)  # k 2r n*w
            waves = (
                strip.unflatten(2, series.shape[::3]).unflatten(1, (2, -1)).permute(3, 2, 0, 1, 4)
            )  # n r k 2 w
            # Columns: the other factor of either product, summed over waves and cells.
            strips.append(torch.cat([across(waves, *band) for band in col_bands], dim=2))
        return torch.cat(strips, dim=1)

    def _band(
        self, positions: Float[Tensor, " q"], axis: int, cell: float, like: Tensor
    ) -> tuple[slice, tuple[Float[Tensor, "k c q"], Float[Tensor, "k c q"]]]:
        """The cells under a run of positions, and sine and cosine from those cells to the positions."""
        taps, offsets = cells_around(positions)
        first, last = int(taps[0, 0]), int(taps[-1, -1])
        # Zero but at each position's two cells.
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
        """Sum the series at scattered positions, counted from the first cell; border cells are repeated."""
        b, _, k, h, w = series.shape
        flat = series.permute(0, 3, 4, 1, 2).reshape(b, h * w, 3 * k)
        row_taps, row_offsets = cells_around(positions[..., 0])
        col_taps, col_offsets = cells_around(positions[..., 1])
        row_sin, row_cos = self.axis_tables(row_offsets, 0, cell[:, :1, None, None].to(positions))
        col_sin, col_cos = self.axis_tables(col_offsets, 1, cell[:, 1:, None, None].to(positions))
        result = series.new_zeros(b, positions.shape[1], 3)
        # The two cells above and below times the two to the left and right.
        for i in range(row_taps.shape[-1]):
            for j in range(col_taps.shape[-1]):
                index = row_taps[..., i].clamp(0, h - 1) * w + col_taps[..., j].clamp(0, w - 1)
                near = flat.gather(1, index[..., None].expand(-1, -1, 3 * k)).unflatten(2, (3, k))
                basis = row_sin[:, :, i] * col_cos[:, :, j] + row_cos[:, :, i] * col_sin[:, :, j]
                result = result + (near * basis[:, :, None].to(near.dtype)).sum(-1)
        return result


def raised_cosine(offsets: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """``cos^2(pi d / 2)`` within one cell, zero beyond: neighbouring windows add up to one."""
    return torch.where(offsets.abs() < 1, (offsets * (math.pi / 2)).cos() ** 2, torch.zeros_like(offsets))


def cells_around(positions: Float[Tensor, "*n"]) -> tuple[Int[Tensor, "*n 2"], Float[Tensor, "*n 2"]]:
    """The two cells before and after each position, and the signed distances to their centres."""
    first = positions.floor()
    cells = torch.stack((first, first + 1), dim=-1)
    return cells.long(), positions[..., None] - cells


def simple_period(positions: Float[Tensor, " q"], cell: float) -> tuple[int, int] | None:
    """(p, q) if the positions repeat every p pixels = q cells with small q, starting on a cell border."""
    # Scale = 1 / cell; q is small or the convolution's kernel would be large.
    ratio = Fraction(1 / cell).limit_denominator(LARGEST_STRIDE)
    p, q = ratio.numerator, ratio.denominator
    if abs(p / q * cell - 1) > 1e-9 or len(positions) % p:
        return None
    # Where the first cell lies, if the first position is the first of its p pixels.
    start = float(positions[0]) - (0.5 * q / p - 0.5)
    return (p, q) if abs(start - REACH) < 1e-6 else None


def phase_offsets(p: int, q: int) -> Float[Tensor, "p c"]:
    """Signed distance from each of p pixels to the q cells below them and `REACH` more on either side."""
    pixels = (torch.arange(p, dtype=torch.float64) + 0.5) * q / p - 0.5
    return pixels[:, None] - torch.arange(-REACH, q + REACH, dtype=torch.float64)


def runs_within(positions: Float[Tensor, " q"], cells: int) -> list[slice]:
    """Runs of ascending positions that each lie within ``cells`` cells."""
    group = ((positions.floor() - positions[0].floor()) // cells).tolist()
    starts = [i for i in range(len(group)) if i == 0 or group[i] != group[i - 1]]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(group)], strict=True)]


def across(
    waves: Float[Tensor, "n r k 2 w"],
    cells: slice,
    tables: tuple[Float[Tensor, "k c q"], Float[Tensor, "k c q"]],
) -> Float[Tensor, "n r q"]:
    """Sine of the rows times cosine of the columns and the reverse, summed over waves and cells."""
    near = waves[..., cells]
    # The axis of 2 holds (sine, cosine) of the rows: it meets (cosine, sine) of the columns.
    table = torch.stack((tables[1], tables[0]), dim=1)  # k 2 c q
    product: Tensor = near.flatten(2) @ table.flatten(0, 2)
    return product
