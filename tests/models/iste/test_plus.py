"""iste-plus: starts as its base, trains both."""

import torch

from histoscale.imaging.coords import output_positions
from histoscale.models.base import as_grid
from histoscale.models.iste.plus import ISTEPlus


def tiny(**parts) -> ISTEPlus:
    return ISTEPlus(blocks=1, channels=8, waves=5, width=16, hidden=16, **parts)


def test_starts_as_its_base():
    model, image = tiny().eval(), torch.rand(2, 3, 9, 11)
    assert torch.equal(model(image, (23, 31)), model.base(image, (23, 31)))
    positions, cell = torch.rand(2, 7, 2, dtype=torch.float64) * 9, torch.full((2, 2), 0.4)
    features = model.encode(image)
    assert torch.equal(
        model.decode(features, positions, cell), model.base.decode(features.fast, positions, cell)
    )


def test_the_residual_is_half_the_branches_output():
    model, image = tiny(), torch.rand(1, 3, 6, 6)
    bias = torch.tensor([0.2, 0.0, -0.4])
    with torch.no_grad():
        model.branches.texture_decoder.mlp[-1].bias.copy_(bias)
    added = model(image, (12, 12)) - model.base(image, (12, 12))
    assert torch.allclose(added.mean(dim=(0, 2, 3)), bias / 2, atol=1e-6)


def test_render_and_decode_agree():
    model, image = tiny(), torch.rand(1, 3, 6, 8)
    for parameter in model.branches.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rows, cols, cell = output_positions(15, 6), output_positions(20, 8), (0.4, 0.4)
    features = model.encode(image)
    decoded = model.decode(features, as_grid(rows, cols)[None], torch.tensor([cell]))
    rendered = model.render(features, rows, cols, cell)
    assert torch.allclose(decoded[0], rendered[0].flatten(1).T, atol=1e-5)


def test_both_parts_train():
    model = tiny()
    for decoder in (model.branches.pixel_decoder, model.branches.texture_decoder):
        for parameter in decoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    model(torch.rand(1, 3, 6, 6), (13, 13)).square().sum().backward()
    for part in (model.branches, model.base.encoder, model.base.head.coefficients):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_context_covers_base_and_branches():
    model = tiny()
    assert model.halo_px == 4 + 33
    assert model.alignment_px == 16
    assert model.branches.keys == "cells"
