"""EDSR's encoder: size, wiring and receptive field."""

import pytest
import torch

from histoscale.models.base import count_parameters
from histoscale.models.encoders.edsr import EDSREncoder, ResidualBlock


@pytest.mark.parametrize(("arguments", "parameters"), [((), 1_220_416), ((32, 256, 0.1), 38_362_368)])
def test_parameters(arguments: tuple[float, ...], parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(EDSREncoder(*arguments)) == parameters


def test_a_block_scales_its_residual() -> None:
    block = ResidualBlock(4, 0.1).double()
    x = torch.randn(1, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(block(x), x + 0.1 * block.conv2(block.conv1(x).relu()))


def test_halo_is_the_receptive_field() -> None:
    encoder = EDSREncoder(2, 8).double()
    image = torch.rand(1, 3, 31, 31, dtype=torch.float64, requires_grad=True)
    encoder(image)[0, :, 15, 15].sum().backward()
    touched = image.grad[0].abs().sum(0).nonzero()
    assert 15 - touched.min().item() == encoder.halo_px == touched.max().item() - 15
