"""SRMFENet: its parameters, its selection among scales, its released form, its tiles."""

import pytest
import torch
from torch.nn.functional import conv2d

from histoscale.errors import ConfigError
from histoscale.inference import upscale
from histoscale.models.base import count_parameters
from histoscale.models.baselines.srmfenet import MultiFeatures, SRMFENet


@pytest.mark.parametrize(
    ("gates", "counts"),
    [("published", (730_816, 915_456, 878_528)), ("released", (733_120, 917_760, 880_832))],
)
def test_parameters_are_the_published_ones(gates: str, counts: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert tuple(count_parameters(SRMFENet(scale, gates=gates)) for scale in (2, 3, 4)) == counts


def test_a_block_equals_its_definition_channel_by_channel() -> None:
    block = MultiFeatures(3, "published").double().eval()
    x = torch.rand(1, 3, 20, 17, dtype=torch.float64)
    features, before = [], torch.zeros_like(x)
    for layer, dilation in zip(block.scales, (1, 2, 4, 8), strict=True):
        y = conv2d(before + x, layer[0].weight, padding=dilation, dilation=dilation)
        before = (y / (1 + 1e-5) ** 0.5).clamp(min=0)  # a fresh batch norm divides by sqrt(1 + eps)
        features.append(before)
    mixed = x.clone()
    for c in range(3):
        logits = [
            sum((gate.weight[c, k, 0, 0] * y[0, k].mean()).item() for k in range(3))
            for gate, y in zip(block.gates, features, strict=True)
        ]
        shares = torch.tensor(logits, dtype=torch.float64).sigmoid().exp()
        for share, y in zip(shares / shares.sum(), features, strict=True):
            mixed[0, c] += share * y[0, c]
    fused = (conv2d(mixed, block.fuse[0].weight) / (1 + 1e-5) ** 0.5).clamp(min=0)
    torch.testing.assert_close(block(x), fused)


def test_released_gates_need_a_batch_only_in_training() -> None:
    model = SRMFENet(2, 1, 4, gates="released")
    image = torch.rand(1, 3, 6, 5)
    with pytest.raises(ConfigError, match=r"batch.* 2"):
        model(image, (12, 10))
    assert model(image.repeat(2, 1, 1, 1), (12, 10)).shape == (2, 3, 12, 10)
    assert model.eval()(image, (12, 10)).shape == (1, 3, 12, 10)
    with pytest.raises(ConfigError, match=r"gates .*published or released"):
        SRMFENet(2, gates="both")


def test_tiles_give_the_pixels_of_the_whole_image() -> None:
    model = SRMFENet(2, 1, 4, window_px=16).double()
    with torch.no_grad():
        for gate in model.body[0].gates:
            gate.weight.mul_(20)  # so that the means matter
    image = torch.rand(3, 40, 45)
    whole, tiled = (upscale(model.float(), image, scale=2, tile_px=px) for px in (100, 14))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
