"""A fixed-scale model at other scales: Pillow's bicubic of its output, in tiles or whole."""

import pytest
import torch
from torch import Tensor

from histoscale.errors import ScaleError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.inference import upscale
from histoscale.models.any_scale import Resized, at_any_scale
from histoscale.models.base import as_grid
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.baselines.fixed_scale import EDSR


@pytest.fixture(scope="module")
def edsr() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=3, blocks=1, channels=8).eval()


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(1, 3, 20, 14, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(30, 21), (47, 33), (60, 42), (100, 70), (20, 14), (60, 50)])
@torch.no_grad()
def test_any_size_is_bicubic_of_the_model_s_output(edsr: EDSR, image: Tensor, size: tuple[int, int]) -> None:
    made = at_any_scale(edsr)(image, size)
    torch.testing.assert_close(made, bicubic_resize(edsr(image, (60, 42)), size), atol=1e-5, rtol=0)
    with pytest.raises(ScaleError):
        edsr(image, (47, 33))


@torch.no_grad()
def test_its_own_scale_gives_exactly_the_model_s_pixels(edsr: EDSR, image: Tensor) -> None:
    assert torch.equal(at_any_scale(edsr)(image, (60, 42)), edsr(image, (60, 42)))


@pytest.mark.parametrize("size", [(33, 23), (90, 61)])
def test_tiles_equal_the_whole_image(edsr: EDSR, image: Tensor, size: tuple[int, int]) -> None:
    model = at_any_scale(edsr)
    whole = upscale(model, image, size, tile_px=64)
    torch.testing.assert_close(upscale(model, image, size, tile_px=4), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(33, 23), (90, 61)])
@torch.no_grad()
def test_scattered_points_are_those_of_the_grid(edsr: EDSR, image: Tensor, size: tuple[int, int]) -> None:
    model = Resized(edsr, 3)
    rows, cols = output_positions(size[0], 20), output_positions(size[1], 14)
    cell = (20 / size[0], 14 / size[1])
    features = model.encode(image)
    points = model.decode(features, as_grid(rows, cols)[None], torch.tensor([cell]))
    grid = model.render(features, rows, cols, cell)
    torch.testing.assert_close(points, grid.flatten(2).mT, atol=1e-5, rtol=0)


def test_a_model_of_any_scale_is_returned_unchanged() -> None:
    model = Bicubic()
    assert at_any_scale(model) is model
