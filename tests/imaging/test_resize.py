"""Bicubic interpolation against Pillow and against itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import (
    bicubic_matrix,
    bicubic_points,
    bicubic_render,
    bicubic_resize,
    keys_kernel,
)
from histoscale.models.base import as_grid

quick = settings(deadline=None, max_examples=60)
sides = st.integers(1, 40)


@quick
@given(h=sides, w=sides, height=sides, width=sides)
def test_resize_is_pillows(h: int, w: int, height: int, width: int) -> None:
    plane = torch.rand(h, w)
    expected = Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.BICUBIC)
    resized = bicubic_resize(plane[None, None], (height, width))[0, 0]
    assert np.allclose(resized.numpy(), np.asarray(expected), atol=2e-6)


def test_the_kernel_by_hand() -> None:
    assert keys_kernel(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, -0.5])).tolist() == [
        1,
        0.5625,
        0,
        -0.0625,
        0,
        0.5625,
    ]


@quick
@given(n=sides, shift=st.floats(-0.5, 0.5), support=st.floats(1, 5))
def test_weights_sum_to_one(n: int, shift: float, support: float) -> None:
    matrix = bicubic_matrix(torch.arange(n, dtype=torch.float64) + shift, n, support)
    assert torch.allclose(matrix.sum(1), torch.ones(n, dtype=torch.float64))


@pytest.mark.parametrize("size", [(27, 41), (20, 26)])
def test_render_is_resize_at_the_output_grid(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 10, 13)
    rows, cols = output_positions(size[0], 10), output_positions(size[1], 13)
    assert torch.allclose(bicubic_render(image, rows, cols), bicubic_resize(image, size), atol=1e-6)


def test_points_are_render_at_scattered_positions() -> None:
    image = torch.rand(2, 3, 10, 13)
    rows, cols = output_positions(23, 10), output_positions(31, 13)
    points = bicubic_points(image, as_grid(rows, cols).expand(2, -1, 2))
    grid = bicubic_render(image, rows, cols).flatten(2).transpose(1, 2)
    assert torch.allclose(points, grid, atol=1e-6)


def test_a_window_gives_the_pixels_of_the_whole_image() -> None:
    image = torch.rand(1, 3, 20, 20)
    rows, cols = output_positions(54, 20, 20, 30), output_positions(54, 20)
    window = bicubic_render(image[:, :, 5:14], rows - 5, cols)
    assert torch.allclose(window, bicubic_render(image, rows, cols), atol=1e-6)
