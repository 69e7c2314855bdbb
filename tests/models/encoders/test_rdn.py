"""RDN's encoder: size, dense wiring and receptive field."""

import torch

from histoscale.models.base import count_parameters
from histoscale.models.encoders.rdn import DenseBlock, RDNEncoder


def test_parameters_are_those_of_configuration_b() -> None:
    with torch.device("meta"):
        assert count_parameters(RDNEncoder()) == 21_973_952


def test_a_dense_block_concatenates_the_input_and_every_layer() -> None:
    block = DenseBlock(4, 3, 2).double()
    x = torch.randn(1, 4, 5, 6, dtype=torch.float64)
    first = block.layers[0](x).relu()
    second = block.layers[1](torch.cat([x, first], 1)).relu()
    torch.testing.assert_close(block(x), x + block.fuse(torch.cat([x, first, second], 1)))


def test_halo_is_the_receptive_field() -> None:
    encoder = RDNEncoder(2, 8, layers=2).double()
    image = torch.rand(1, 3, 41, 41, dtype=torch.float64, requires_grad=True)
    encoder(image)[0, :, 20, 20].sum().backward()
    touched = image.grad[0].abs().sum(0).nonzero()
    assert 20 - touched.min().item() == encoder.halo_px == touched.max().item() - 20


def test_every_dense_block_reaches_the_output() -> None:
    encoder = RDNEncoder(3, 4, layers=1)
    encoder(torch.rand(1, 3, 6, 6)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
