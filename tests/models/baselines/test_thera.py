"""Thera against its definition, wave by wave, and against the heat equation."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from histoscale.models.base import count_parameters
from histoscale.models.baselines.thera import Thera


def tiny() -> Thera:
    return Thera("edsr", blocks=1, channels=6, waves=5).double()


def literal(model: Thera, image: Tensor, y: float, x: float, cell: tuple[float, float]) -> Tensor:
    """One colour as Thera's text has it, in coordinates of [-1, 1]."""
    fields = model.fields(model.encoder(image * 2 - 1))[0]
    h, w = fields.shape[1:]
    i, j = math.floor((y + 1) / 2 * h + 1e-6), math.floor((x + 1) / 2 * w + 1e-6)
    offset_y, offset_x = (y + 1) / 2 * h - 0.5 - i, (x + 1) / 2 * w - 0.5 - j
    colour = image[0, :, i, j].clone()
    for k in range(model.waves):
        along_rows, along_columns = model.frequencies[:, k]
        angle = along_rows * offset_y + along_columns * offset_x + fields[k, i, j]
        heat = (along_rows * cell[0]) ** 2 + (along_columns * cell[1]) ** 2
        damped = torch.sin(angle) * torch.exp(-model.kappa * heat)
        for c in range(3):
            colour[c] = colour[c] + 0.5 * fields[(1 + c) * model.waves + k, i, j] * damped
    return colour


@pytest.mark.parametrize("size", [(10, 12), (15, 18), (13, 17), (5, 6)], ids=["x2", "x3", "real", "x1"])
def test_equals_the_literal_form(assert_pixel_by_pixel: Any, size: tuple[int, int]) -> None:
    model = tiny()
    with torch.no_grad():
        model.frequencies /= 8  # otherwise few waves outlive the heat
    assert_pixel_by_pixel(model, literal, size)


def test_the_field_obeys_the_heat_equation() -> None:
    """d/dt = kappa * Laplacian, t = cell^2, by finite differences in the middle of a cell."""
    model = tiny()
    with torch.no_grad():
        model.frequencies /= 16
        features = model.encode(torch.rand(1, 3, 4, 4, dtype=torch.float64))
        step, t = 1e-3, 0.3
        here = torch.tensor([1.1, 2.2], dtype=torch.float64)
        around = torch.tensor([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64) * step

        def at(time: float) -> Tensor:
            cell = torch.full((1, 2), math.sqrt(time)).double()
            return model.decode(features, (here + around)[None], cell)[0]

        rate = (at(t + step)[0] - at(t - step)[0]) / (2 * step)
        laplacian = (at(t)[1:].sum(dim=0) - 4 * at(t)[0]) / step**2
    torch.testing.assert_close(rate, model.kappa * laplacian, rtol=1e-3, atol=1e-4)
    assert rate.abs().min() > 1e-3


def test_parameters() -> None:
    """The published 8 256, and kappa."""
    with torch.device("meta"):
        assert count_parameters(Thera("edsr")) == 1_220_416 + 8_256 + 1
        assert count_parameters(Thera("swinir")) == 11_603_044 + 8_256 + 1


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    model, image = Thera("edsr", blocks=1, channels=8).float(), torch.rand(2, 3, 8, 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    positions = torch.rand(2, 64, 2, dtype=torch.float64) * 8 - 0.5
    target, cell = torch.rand(2, 64, 3), torch.full((2, 2), 0.5)
    losses = []
    for _ in range(60):
        loss = (model.decode(model.encode(image), positions, cell) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
