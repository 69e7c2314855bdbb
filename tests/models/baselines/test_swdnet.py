"""SWD-Net: parameters of both stages, what the released form leaves untrained, its tiles."""

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.inference import upscale
from histoscale.models.base import count_parameters
from histoscale.models.baselines.swdnet import SWDNet
from histoscale.models.baselines.swdnet_wavelets import haar

UNCALLED = 2 * 2177 + 168
"""The released code's modules that nothing calls: a fusion in each dual-stream module, a gate of wavelets."""


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
def test_stages_hang_together(scale: int) -> None:
    model = small(scale)
    image = torch.rand(2, 3, 8, 12)
    stages = model.stages(image)
    assert stages.spatial.shape == (2, 3, 8 * scale, 12 * scale)
    torch.testing.assert_close(haar(stages.output), stages.coefficients, atol=1e-5, rtol=0)
    assert torch.equal(model(image, (8 * scale, 12 * scale)), stages.output)


def test_a_size_off_multiples_of_four_is_continued_and_cut_back() -> None:
    model = small(3)
    image = torch.rand(1, 3, 5, 8)
    padded = torch.cat([image, image.flip(2)[:, :, :3]], dim=2)
    torch.testing.assert_close(model(image, (15, 24)), model.stages(padded).output[:, :, :15])


def test_tiles_give_the_pixels_of_the_whole_image() -> None:
    model = small(2, window_px=16)
    image = torch.rand(3, 30, 33)
    whole, tiled = (upscale(model, image, scale=2, tile_px=px) for px in (100, 12))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
