"""Li et al.: parameters of both networks, the bicubic start, windows as published."""

import pytest
import torch
from torch import nn

from histoscale.imaging.resize import bicubic_resize
from histoscale.inference import upscale
from histoscale.models.base import count_parameters
from histoscale.models.baselines.li2021 import Down, Li2021, PatchGAN, Up


def test_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        assert [count_parameters(Li2021(scale)) for scale in (2, 3, 4)] == [7_388_122] * 3
        assert count_parameters(PatchGAN()) == 2_767_808


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_input_of_the_network_is_the_bicubic_image(scale: int) -> None:
    model = Li2021(scale, 4).double()
    model.network = nn.Identity()  # type: ignore[assignment]
    image = torch.rand(2, 3, 9, 11, dtype=torch.float64)
    size = (9 * scale, 11 * scale)
    torch.testing.assert_close(model(image, size), bicubic_resize(image, size))


def test_blocks_halve_and_double() -> None:
    down, up = Down(3, 4).double(), Up(3, 4).double()
    x = torch.rand(1, 3, 8, 6, dtype=torch.float64)
    shrunk = down.block[2](down.block[1](down.block[0](x))) + down.skip(x[..., ::2, ::2])
    slope = down.activation.weight
    torch.testing.assert_close(down(x), torch.where(shrunk > 0, shrunk, slope * shrunk))
    assert down(x).shape == (1, 4, 4, 3)
    assert up(x).shape == (1, 4, 16, 12)
    for layer in up.block:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    pinned = up(x)  # 8 rows to 16: output row 1 lies 7 / 15 of the way from row 0 to row 1
    rows = x[:, :, 0] + (x[:, :, 1] - x[:, :, 0]) * 7 / 15
    torch.testing.assert_close(pinned[:, :, 1, 0], up.skip(rows[..., None])[:, :, 0, 0])
    torch.testing.assert_close(pinned[:, :, -1, -1], up.skip(x)[:, :, -1, -1])


def test_windows_are_those_of_the_publication() -> None:
    for scale in (2, 3, 4):
        model = Li2021(scale, 4)
        assert model.window_px == 224
        assert model.alignment_px * scale == 192


def test_tiles_give_the_pixels_of_the_whole_image() -> None:
    model = Li2021(2, 4, window_px=112)
    image = torch.rand(3, 100, 150)
    whole, tiled = (upscale(model, image, scale=2, tile_px=px) for px in (200, 50))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_the_discriminator_scores_patches_of_16_pixels() -> None:
    assert PatchGAN(4)(torch.rand(2, 3, 224, 224), torch.rand(2, 3, 224, 224)).shape == (2, 1, 14, 14)
    assert PatchGAN(4)(torch.rand(1, 3, 48, 32), torch.rand(1, 3, 48, 32)).shape == (1, 1, 3, 2)
