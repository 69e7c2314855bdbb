"""The series per cell: equal to a loop over cells and waves in all three ways, smooth across borders."""

import math

import pytest
import torch
from torch import Tensor

from histoscale.imaging.coords import output_positions
from histoscale.models.base import as_grid
from histoscale.models.iste.fourier_series import CellSeries, cells_around, raised_cosine, simple_period


@torch.no_grad()
def literal(model: CellSeries, series: Tensor, row: float, col: float, cell: tuple[float, float]) -> float:
    """Compute one value by a loop over all cells and waves."""
    k, h, w = series.shape
    total = 0.0
    for y in range(h):
        for x in range(w):
            dy, dx = row - y, col - x
            if abs(dy) >= 1 or abs(dx) >= 1:
                continue
            window = math.cos(math.pi * dy / 2) ** 2 * math.cos(math.pi * dx / 2) ** 2
            total += window * float(series[0, y, x])
            for j in range(k - 1):
                wy, wx = model.frequency[j].tolist()
                damping = math.exp(
                    -math.exp(float(model.log_damping)) * ((wy * cell[0]) ** 2 + (wx * cell[1]) ** 2)
                )
                wave = math.sin(wy * dy + wx * dx + float(model.phase[j]))
                total += window * float(series[1 + j, y, x]) * damping * wave
    return total


@pytest.fixture
def model() -> CellSeries:
    return CellSeries(waves=5).double()


def inner_grid(n: int, scale: float) -> Tensor:
    """Compute positions over cells 1 .. n - 2, counted from cell 0."""
    return output_positions(round((n - 2) * scale), n - 2) + 1


@pytest.mark.parametrize("scale", [1.0, 2.0, 2.5, 3.0, 1.7, 4.0, 8 / 3])
def test_grid_equals_the_loop(model: CellSeries, scale: float) -> None:
    series = torch.randn(1, model.terms, 6, 7, dtype=torch.float64)
    rows, cols = inner_grid(6, scale), inner_grid(7, scale)
    cell = (4 / len(rows), 5 / len(cols))
    rendered = model.grid(series, rows, cols, cell)[0]
    assert rendered.shape == (len(rows), len(cols))
    for i, j in ((0, 0), (1, 3), (len(rows) - 1, len(cols) - 1), (len(rows) // 2, 2)):
        expected = literal(model, series[0], float(rows[i]), float(cols[j]), cell)
        assert float(rendered[i, j].detach()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0, 2.5, 4.0])
def test_convolution_equals_table_products(model: CellSeries, scale: float) -> None:
    series = torch.randn(3, model.terms, 6, 10, dtype=torch.float64)
    rows, cols, cell = inner_grid(6, scale), inner_grid(10, scale), (1 / scale, 1 / scale)
    assert simple_period(rows, cell[0])
    separable = model._separable(series, rows, cols, cell)
    torch.testing.assert_close(model.grid(series, rows, cols, cell), separable, atol=1e-9, rtol=0)


def test_scattered_equals_grid(model: CellSeries) -> None:
    series = torch.randn(2, 3, model.terms, 6, 7, dtype=torch.float64)
    rows, cols, cell = inner_grid(6, 2.3), inner_grid(7, 2.3), (1 / 2.3, 1 / 2.3)
    points = as_grid(rows, cols)[None].expand(2, -1, -1)
    scattered = model.scattered(series, points, torch.tensor([cell, cell], dtype=torch.float64))
    grid = model.grid(series.flatten(0, 1), rows, cols, cell).unflatten(0, (2, 3))
    torch.testing.assert_close(scattered.transpose(1, 2).reshape(grid.shape), grid, atol=1e-9, rtol=0)


def test_windows_sum_to_one() -> None:
    positions = torch.linspace(0.01, 5.3, 200, dtype=torch.float64)
    _, offsets = cells_around(positions)
    torch.testing.assert_close(raised_cosine(offsets).sum(-1), torch.ones(200, dtype=torch.float64))


@torch.no_grad()
def test_no_step_and_no_kink_across_cell_borders(model: CellSeries) -> None:
    """Value and slope agree from both sides, half way between two cells and at a cell's centre."""
    series = torch.randn(1, model.terms, 6, 6, dtype=torch.float64)
    step = 1e-5
    for border in (2.5, 3.0):
        rows = torch.tensor([border + k * step for k in (-2, -1, 1, 2)], dtype=torch.float64)
        values = model._separable(series, rows, torch.tensor([2.2], dtype=torch.float64), (0.25, 0.25))[
            0, :, 0
        ]
        assert abs(float(values[2] - values[1])) < 1e-3
        assert float(values[1] - values[0]) == pytest.approx(float(values[3] - values[2]), abs=1e-8)


def test_larger_pixels_damp_finer_waves(model: CellSeries) -> None:
    offsets = torch.zeros(1, dtype=torch.float64)
    fine = torch.stack(model.axis_tables(offsets, 1, 0.1))
    coarse = torch.stack(model.axis_tables(offsets, 1, 1.0))
    ratio = (coarse.norm(dim=0) / fine.norm(dim=0))[0]
    order = model.frequency[:, 1].abs().argsort()
    assert float(ratio[0].detach()) == pytest.approx(1.0)
    assert (ratio[1:][order].diff() <= 1e-12).all()


def test_gradients_reach_waves_phases_and_damping() -> None:
    model = CellSeries(waves=3).double()
    series = torch.randn(1, model.terms, 5, 5, dtype=torch.float64, requires_grad=True)
    rows = inner_grid(5, 1.5)

    def render(values: Tensor, frequency: Tensor, phase: Tensor, damping: Tensor) -> Tensor:
        named = {"frequency": frequency, "phase": phase, "log_damping": damping}
        return torch.func.functional_call(model, named, (values,))

    model.forward = lambda s: model.grid(s, rows, rows, (2 / 3, 2 / 3))  # type: ignore[method-assign]
    inputs = (series, *(p.detach().clone().requires_grad_() for p in model.parameters()))
    assert torch.autograd.gradcheck(render, inputs)


@pytest.mark.parametrize(
    ("start", "count", "cell", "expected"),
    [
        (1 - 0.25, 4, 0.5, (2, 1)),
        (1 - 0.3, 10, 0.4, (5, 2)),
        (1 - 0.25, 3, 0.5, None),  # half a cell left over
        (1.0, 4, 0.5, None),  # starts within a cell
        (1 - 0.25, 4, 0.37, None),  # no simple fraction
    ],
)
def test_simple_periods(start: float, count: int, cell: float, expected: tuple[int, int] | None) -> None:
    positions = start + cell * torch.arange(count, dtype=torch.float64)
    assert simple_period(positions, cell) == expected
