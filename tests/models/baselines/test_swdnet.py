"""SWD-Net: parameters of both stages, what the released form does not train, its tiles."""

import pytest
import torch
from torch import nn

from histoscale.errors import ConfigError
from histoscale.inference import upscale
from histoscale.models.base import count_parameters
from histoscale.models.baselines.swdnet import (
    AsymmetricConvolutions,
    ChannelGate,
    ContextFusion,
    SWDNet,
    WaveletStage,
    haar,
    inverse_haar,
)

UNCALLED = 2 * 2177 + 168
"""Unused modules of the released code: a fusion in each dual-stream module, a gate of the wavelet stage."""


def small(scale: int, window_px: int = 128, fusion: str = "published") -> SWDNet:
    return SWDNet(scale, channels=8, blocks=1, width=8, fusion=fusion, window_px=window_px)


def test_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        released = [SWDNet(scale, fusion="released") for scale in (2, 3, 4)]
        published = [SWDNet(scale) for scale in (2, 3, 4)]
    assert [count_parameters(model) for model in released] == [3_158_424, 3_204_664, 3_269_400]
    assert count_parameters(released[0].spatial) == 1_158_511
    assert [count_parameters(model) + UNCALLED for model in published] == [3_158_424, 3_204_664, 3_269_400]


def test_the_released_form_does_not_train_its_second_streams() -> None:
    model = SWDNet(2, fusion="released")
    model(torch.rand(1, 3, 8, 8), (16, 16)).sum().backward()
    silent = [
        sum(p.numel() for p in stage.parameters() if p.grad is None)
        for stage in (model.spatial, model.wavelets)
    ]
    assert silent == [527_020, 1_880_723]
    with pytest.raises(ConfigError, match="published or released"):
        SWDNet(2, fusion="both")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_stages_agree_with_each_other(scale: int) -> None:
    model = small(scale)
    image = torch.rand(2, 3, 8, 12)
    stages = model.stages(image)
    assert stages.spatial.shape == (2, 3, 8 * scale, 12 * scale)
    torch.testing.assert_close(haar(stages.output), stages.coefficients, atol=1e-5, rtol=0)
    assert torch.equal(model(image, (8 * scale, 12 * scale)), stages.output)


def test_a_size_that_is_no_multiple_of_four_is_extended_and_cropped() -> None:
    model = small(3)
    image = torch.rand(1, 3, 5, 8)
    padded = torch.cat([image, image.flip(2)[:, :, :3]], dim=2)
    torch.testing.assert_close(model(image, (15, 24)), model.stages(padded).output[:, :, :15])


def test_tiles_give_the_pixels_of_the_whole_image() -> None:
    model = small(2, window_px=16)
    image = torch.rand(3, 30, 33)
    whole, tiled = (upscale(model, image, scale=2, tile_px=px) for px in (100, 12))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


# Refined context fusion against its definition, and as released.


def test_gate_multiplies_each_channel_by_one_share() -> None:
    gate = ChannelGate(4, nn.ReLU(), nn.Sigmoid())
    x = torch.rand(2, 4, 3, 5) + 1
    shares = gate(x) / x
    torch.testing.assert_close(shares, shares[:, :, :1, :1].expand_as(shares))
    assert ((shares > 0) & (shares < 1)).all()


def test_context_equals_its_definition_position_by_position() -> None:
    fusion = ContextFusion(4).double()
    for parameter in fusion.transform.parameters():
        nn.init.normal_(parameter)
    own, other = torch.rand(2, 2, 4, 3, 5, dtype=torch.float64)
    made = fusion(own, other)
    first, _, second = fusion.transform
    for n in range(2):
        weights = {
            (i, j): (own[n, :, i, j] @ fusion.attend.weight[0, :, 0, 0] + fusion.attend.bias).exp()
            for i in range(3)
            for j in range(5)
        }
        pooled = sum(w * other[n, :, i, j] for (i, j), w in weights.items()) / sum(weights.values())
        hidden = (first.weight[:, :, 0, 0] @ pooled + first.bias).clamp(min=0)
        context = second.weight[:, :, 0, 0] @ hidden + second.bias
        torch.testing.assert_close(made[n], fusion.gate(own)[n] + context[:, None, None])


def test_at_first_and_as_released_nothing_comes_from_the_other_stream() -> None:
    own, other = torch.rand(2, 1, 4, 3, 5)
    for released in (False, True):
        fusion = ContextFusion(4, released)
        torch.testing.assert_close(fusion(own, other), fusion.gate(own))


# The Haar packet, its inverse, and the stage that corrects coefficients.


def test_the_packet_equals_its_definition_pixel_by_pixel() -> None:
    x = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    made = haar(x)
    assert made.shape == (2, 12, 2, 3)
    for c in range(3):
        for i in range(2):
            for j in range(3):
                a, b = x[:, c, 2 * i, 2 * j] / 2, x[:, c, 2 * i + 1, 2 * j] / 2
                e, d = x[:, c, 2 * i, 2 * j + 1] / 2, x[:, c, 2 * i + 1, 2 * j + 1] / 2
                bands = (a + b + e + d, -a - b + e + d, -a + b - e + d, a - b - e + d)
                for k, band in enumerate(bands):
                    torch.testing.assert_close(made[:, 3 * k + c, i, j], band)


@pytest.mark.parametrize("channels", [3, 6])
def test_the_transform_is_orthonormal_and_inverts(channels: int) -> None:
    x = torch.rand(2, channels, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(inverse_haar(haar(x)), x)
    torch.testing.assert_close(haar(x).norm(), x.norm())
    torch.testing.assert_close(haar(inverse_haar(haar(haar(x)))), haar(haar(x)))


def test_branches_have_the_kernels_of_the_publication() -> None:
    kernels = [
        [layer.kernel_size for layer in branch if hasattr(layer, "kernel_size")]
        for branch in AsymmetricConvolutions(3, 4).branches
    ]
    assert kernels == [[(3, 3)], [(1, 3)] * 2, [(3, 1)] * 2, [(3, 3)] * 2]
    assert AsymmetricConvolutions(3, 4)(torch.rand(1, 3, 5, 6)).shape == (1, 4, 5, 6)


def test_a_stage_of_zeros_keeps_the_coefficients() -> None:
    stage = WaveletStage(8)
    torch.nn.init.zeros_(stage.last.weight)
    torch.nn.init.zeros_(stage.last.bias)
    image = torch.rand(1, 3, 8, 12)
    assert torch.equal(stage(image), haar(image))


def test_parameters_are_the_published_ones_swdnet_wavelets() -> None:
    with torch.device("meta"):
        assert count_parameters(WaveletStage(released=True)) == 1_999_913
        assert count_parameters(WaveletStage()) == 1_999_913 - 168  # a gate of 12 channels that is not used
