"""LTE against its definition, point by point."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from histoscale.models.base import count_parameters
from histoscale.models.baselines.lte import LTE
from histoscale.models.iste.model import ISTE


def tiny() -> LTE:
    return LTE("edsr", blocks=1, channels=6, width=16).double()


def literal(model: LTE, image: Tensor, y: float, x: float, cell: tuple[float, float]) -> Tensor:
    """One colour as LTE's text and code have it, in coordinates of [-1, 1], wave by wave."""
    spectrum = model.spectrum(model.encoder(image * 2 - 1))[0]
    amplitude, along_rows, along_columns = spectrum[:16], spectrum[16:24], spectrum[24:]
    h, w = spectrum.shape[1:]
    sizes = torch.tensor([2 * max(side, 1 / 4) for side in cell], dtype=image.dtype)
    colours, areas = [], []
    for down in (-1, 1):
        for right in (-1, 1):
            query = []
            for coordinate, step, n in ((y, down, h), (x, right, w)):
                moved = min(max(coordinate + step / n + 1e-6, -1 + 1e-6), 1 - 1e-6)
                index = round(((moved + 1) * n - 1) / 2)
                query.append((index, (coordinate - (-1 + (2 * index + 1) / n)) * n))
            (i, offset_y), (j, offset_x) = query
            angles = [
                along_rows[k, i, j] * offset_y
                + along_columns[k, i, j] * offset_x
                + model.phase.weight[k] @ sizes
                for k in range(8)
            ]
            waves = [torch.cos(math.pi * a) for a in angles] + [torch.sin(math.pi * a) for a in angles]
            colours.append(model.layers(amplitude[:, i, j] * torch.stack(waves)))
            areas.append(abs(offset_y * offset_x) + 1e-9)
    mixed = sum(areas[3 - t] / sum(areas) * colours[t] for t in range(4))
    where = torch.tensor([[[[x, y]]]], dtype=image.dtype)
    skip = torch.nn.functional.grid_sample(
        image * 2 - 1, where, mode="bilinear", padding_mode="border", align_corners=False
    )
    return (mixed + skip[0, :, 0, 0]) * 0.5 + 0.5


@pytest.mark.parametrize("size", [(10, 12), (15, 18), (13, 17), (30, 31)], ids=["x2", "x3", "real", "x6"])
def test_equals_the_literal_form(assert_pixel_by_pixel: Any, size: tuple[int, int]) -> None:
    assert_pixel_by_pixel(tiny(), literal, size)


def test_the_cell_stops_at_x4_unless_told_otherwise() -> None:
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    model = tiny()
    features = model.encode(image)
    positions = torch.rand(1, 9, 2, dtype=torch.float64) * 4
    at = {scale: torch.full((1, 2), 1 / scale).double() for scale in (3, 4, 8)}
    assert torch.equal(model.decode(features, positions, at[8]), model.decode(features, positions, at[4]))
    assert not torch.equal(model.decode(features, positions, at[3]), model.decode(features, positions, at[4]))
    model.max_scale = None
    assert not torch.equal(model.decode(features, positions, at[8]), model.decode(features, positions, at[4]))


def test_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(LTE("swinir")) == 12_096_871
        assert count_parameters(LTE("edsr")) == 1_220_416 + 493_827


def test_the_starred_model_of_table_9_is_the_first_larger_than_iste() -> None:
    """SwinIR has one block more, as the published count shows; EDSR has as few more as possible."""
    with torch.device("meta"):
        on_swinir = count_parameters(LTE("swinir", blocks=7))
        smaller, larger = (count_parameters(LTE("edsr", blocks=blocks)) for blocks in (24, 25))
        assert on_swinir == 13_963_831 > count_parameters(ISTE("swinir"))
        assert smaller < count_parameters(ISTE("edsr")) < larger == 2_378_947
