"""LIT against its definition, point by point, neighbour by neighbour, head by head."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from histoscale.models.base import count_parameters
from histoscale.models.baselines.lit import LIT

HEADS, DIM = 2, 4


def tiny() -> LIT:
    return LIT("edsr", blocks=1, channels=6, width=HEADS * DIM, heads=HEADS, hidden=12).double()


def bias(model: LIT, offset_y: float, offset_x: float) -> Tensor:
    """The sine series of one offset: all sines along rows, along columns, then all cosines."""
    frequencies = [2 ** (10 * k / 15) - 1 for k in range(16)]
    angles = [f * offset_y for f in frequencies] + [f * offset_x for f in frequencies]
    series = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    return model.place_bias(torch.tensor(series, dtype=torch.float64))


def literal(model: LIT, image: Tensor, y: float, x: float, cell: tuple[float, float]) -> Tensor:
    """One colour as the text of CLIT with one stage has it, in coordinates of [-1, 1]."""
    wide = model.widen(model.encoder(image * 2 - 1))
    keys, values = model.keys(wide)[0], model.values(wide)[0]
    where = torch.tensor([[[[x, y]]]], dtype=image.dtype)
    query = grid_sample(model.queries(wide), where, mode="bilinear", align_corners=False)[0, :, 0, 0]
    h, w = keys.shape[1:]
    row, col = (round(((p + 1 + 1e-7) * n - 1) / 2) for p, n in ((y, h), (x, w)))
    logits, neighbours = [], []
    for i in range(row - 3, row + 4):
        for j in range(col - 3, col + 4):
            inside = 0 <= i < h and 0 <= j < w
            key = keys[:, i, j] if inside else torch.zeros_like(query)
            neighbours.append(values[:, i, j] if inside else torch.zeros_like(query))
            offset_y, offset_x = (y - (-1 + (2 * i + 1) / h)) * h, (x - (-1 + (2 * j + 1) / w)) * w
            products = [query[k * DIM : (k + 1) * DIM] @ key[k * DIM : (k + 1) * DIM] for k in range(HEADS)]
            logits.append(torch.stack(products) / math.sqrt(DIM) + bias(model, offset_y, offset_x))
    exponentials = torch.stack(logits).exp()
    shares = exponentials / exponentials.sum(dim=0)
    weighted = [shares[t].repeat_interleave(DIM) * value for t, value in enumerate(neighbours)]
    sizes = torch.tensor([2 * cell[0], 2 * cell[1]], dtype=image.dtype)
    rgb = model.layers(torch.cat((*weighted, sizes)))
    skip = grid_sample(image * 2 - 1, where, mode="bilinear", padding_mode="border", align_corners=False)
    return (rgb + skip[0, :, 0, 0]) * 0.5 + 0.5


@pytest.mark.parametrize("size", [(10, 12), (15, 18), (13, 17)], ids=["x2", "x3", "real"])
def test_equals_the_literal_form(assert_pixel_by_pixel: Any, size: tuple[int, int]) -> None:
    assert_pixel_by_pixel(tiny(), literal, size)


def test_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(LIT("swinir")) == 16_931_695
        assert count_parameters(LIT("edsr")) == 1_220_416 + 5_328_651
