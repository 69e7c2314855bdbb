"""Eqs. 6 and 7 for one corner; the sum over corners is tested with the whole model."""

import torch

from histoscale.models.base import count_parameters
from histoscale.models.iste.decoders import LocalPixelDecoder, LocalTextureDecoder


def test_the_split_first_layer_equals_the_whole(literal):
    decoder = LocalPixelDecoder(width=5, hidden=7, layers=2).double()
    fused = torch.randn(2, 3, 5, dtype=torch.float64)
    offset = torch.randn(2, 3, 2, dtype=torch.float64)
    cell = torch.rand(2, 2, dtype=torch.float64)
    found = decoder(decoder.project(fused), offset, cell)
    for image in range(2):
        for q in range(3):
            row = torch.cat((fused[image, q], offset[image, q], cell[image]))
            assert torch.allclose(found[image, q], literal.mlp(literal.linears(decoder), row), atol=1e-12)


def test_texture_decoder_equals_the_loops(literal):
    decoder = LocalTextureDecoder(width=5, hidden=7, layers=2).double()
    texture = torch.randn(4, 5, dtype=torch.float64)
    expected = torch.stack([literal.mlp(literal.linears(decoder), row) for row in texture])
    assert torch.allclose(decoder(texture), expected, atol=1e-12)


def test_gradient():
    decoder = LocalPixelDecoder(width=3, hidden=4, layers=1).double()
    fused = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
    cell = torch.rand(1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, o, c: decoder(decoder.project(f), o, c), (fused, offset, cell))


def test_parameters():
    assert count_parameters(LocalPixelDecoder()) == 199_171
    assert count_parameters(LocalTextureDecoder()) == 198_147


def test_colours_are_single_precision_under_autocast():
    decoder = LocalTextureDecoder(4, 4, 1)
    with torch.autocast("cpu", torch.bfloat16):
        colours = decoder(torch.randn(9, 4))
    assert colours.dtype == torch.float32
    assert not torch.equal(colours, colours.bfloat16().float())


def test_zero_output_adds_nothing():
    pixel, texture = LocalPixelDecoder(4, 4, 1), LocalTextureDecoder(4, 4, 1)
    pixel.zero_output()
    texture.zero_output()
    assert pixel(torch.randn(1, 3, 4), torch.randn(1, 3, 2), torch.ones(1, 2)).abs().max() == 0
    assert texture(torch.randn(3, 4)).abs().max() == 0
