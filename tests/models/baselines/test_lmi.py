"""LMI against its definition, point by point and token by token."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu

from histoscale.models.base import count_parameters
from histoscale.models.baselines.lmi import LMI


def tiny() -> LMI:
    return LMI("edsr", blocks=1, channels=6).double()


def feed(layers: torch.nn.Sequential, x: Tensor) -> Tensor:
    """Linear, GELU, linear, GELU."""
    return gelu(layers[2](gelu(layers[0](x))))


def literal(model: LMI, image: Tensor, y: float, x: float, cell: tuple[float, float]) -> Tensor:
    """One colour as LMI's code has it, in coordinates of [-1, 1]."""
    normalised = image * 2 - 1
    features = model.encoder(normalised)[0]
    c, h, w = features.shape
    tokens, colours, offsets, areas = [], [], [], []
    for down in (-3, -1, 1, 3):
        for right in (-3, -1, 1, 3):
            query = []
            for coordinate, step, n in ((y, down, h), (x, right, w)):
                moved = min(max(coordinate + step / n + 1e-6, -1 + 1e-6), 1 - 1e-6)
                index = round(((moved + 1) * n - 1) / 2)
                query.append((index, (coordinate - (-1 + (2 * index + 1) / n)) * n))
            (i, offset_y), (j, offset_x) = query
            tokens.append(features[:, i, j])
            colours.append(normalised[0, :, i, j])
            offsets += [offset_y, offset_x]
            areas.append(abs(offset_y * offset_x) + 1e-9)
    height = 2 * cell[0]
    meta = model.places(torch.tensor([*offsets, height], dtype=image.dtype)).view(c, 16)
    x0 = torch.stack(tokens)
    by_channel = [
        feed(model.mix_tokens, torch.cat((torch.stack([t[k] for t in tokens]), meta[k]))) for k in range(c)
    ]
    x1 = x0 + torch.stack(by_channel, dim=1)
    total = torch.zeros(3, dtype=image.dtype)
    for t in range(16):
        place = torch.tensor([*offsets[2 * t : 2 * t + 2], height], dtype=image.dtype)
        mixed = x1[t] + feed(model.mix_channels, torch.cat((x1[t], colours[t], place)))
        total = total + areas[15 - t] / sum(areas) * model.last(mixed + x0[t])
    return total * 0.5 + 0.5


@pytest.mark.parametrize("size", [(10, 12), (15, 18), (13, 17)], ids=["x2", "x3", "real"])
def test_equals_the_literal_form(assert_pixel_by_pixel: Any, size: tuple[int, int]) -> None:
    assert_pixel_by_pixel(tiny(), literal, size)


def test_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(LMI("swinir")) == 11_690_903
        assert count_parameters(LMI("edsr")) == 1_220_416 + 87_859
