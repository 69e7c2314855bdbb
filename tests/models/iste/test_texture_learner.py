"""Eq. 3."""

import torch

from histoscale.models.base import count_parameters
from histoscale.models.iste.texture_learner import PlainTexture, TextureLearner


def test_equals_the_loops(literal):
    learner = TextureLearner(4, width=5).double()
    spectrum = torch.randn(2, 3, 15, dtype=torch.float64)
    offset = torch.rand(2, 3, 2, dtype=torch.float64) * 4 - 2
    cell = torch.tensor([[1.0, 0.7], [0.5, 0.6]], dtype=torch.float64)
    found = learner.texture(spectrum, offset, cell)
    for image in range(2):
        for q in range(3):
            expected = literal.texture(learner, spectrum[image, q], offset[image, q], cell[image])
            assert torch.allclose(found[image, q], expected, atol=1e-12)


def test_the_first_frequency_goes_with_rows():
    learner = TextureLearner(4, width=1)
    torch.nn.init.constant_(learner.phase.weight, -1e4)  # phase 0
    spectrum = torch.tensor([[[1.0, 3.0, 0.0]]])
    found = learner.texture(spectrum, torch.tensor([[[0.2, 9.0]]]), torch.ones(1, 2))
    assert torch.allclose(found, torch.sin(torch.tensor(0.6)))


def test_gradient():
    learner = TextureLearner(4, width=2).double()
    spectrum = torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True)
    offset = torch.rand(1, 2, 2, dtype=torch.float64)
    cell = torch.ones(1, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(learner.texture, (spectrum, offset, cell))


def test_shapes_and_parameters():
    learner = TextureLearner()
    assert learner(torch.rand(2, 64, 5, 6)).shape == (2, 768, 5, 6)
    assert count_parameters(learner) == 3 * 147_712 + 512
    assert count_parameters(PlainTexture()) == 147_712


def test_the_angle_keeps_its_precision_under_autocast():
    learner = TextureLearner(4, width=8)
    spectrum, offset, cell = torch.randn(1, 5, 24).bfloat16(), torch.rand(1, 5, 2), torch.ones(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = learner.texture(spectrum, offset, cell)
    assert torch.equal(coarse, learner.texture(spectrum.float(), offset, cell))


def test_plain_texture_ignores_where_the_point_lies():
    plain = PlainTexture(4, width=3)
    spectrum = torch.randn(1, 2, 3)
    assert torch.equal(plain.texture(spectrum, torch.rand(1, 2, 2), torch.ones(1, 2)), spectrum)
