"""Fixtures of the arbitrary-scale baselines."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from histoscale.imaging.coords import normalise, output_positions
from histoscale.models.base import CoordinateSuperResolver

Literal = Callable[[Any, Tensor, float, float, tuple[float, float]], Tensor]
"""A colour at (y, x) of [-1, 1], written out as the paper or its code has it: model, image, y, x, cell."""


@pytest.fixture
def assert_pixel_by_pixel() -> Callable[[CoordinateSuperResolver, Literal, tuple[int, int]], None]:
    """Assert that the model's output equals the literal form at every pixel.

    Query points on the border of two cells are 1e-6 of a pixel apart in both: the same cell.
    """

    def compare(model: CoordinateSuperResolver, literal: Literal, size: tuple[int, int]) -> None:
        image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
        cell = (5 / size[0], 6 / size[1])
        rows = normalise(output_positions(size[0], 5), 5).tolist()
        cols = normalise(output_positions(size[1], 6), 6).tolist()
        with torch.no_grad():
            got = model(image, size)
            expected = torch.stack(
                [torch.stack([literal(model, image, y, x, cell) for x in cols], dim=-1) for y in rows], dim=1
            )
        torch.testing.assert_close(got[0], expected, atol=1e-9, rtol=0)

    return compare
