"""The network of the histoscale-tissue features: shape, size, scale of its input."""

import torch

from histoscale.models.base import count_parameters
from histoscale.models.extractors.tissue import TissueFeatures


def test_one_vector_per_image_of_any_size() -> None:
    model = TissueFeatures().eval()
    for height, width in ((32, 32), (96, 96), (41, 67)):
        assert model(torch.rand(2, 3, height, width)).shape == (2, TissueFeatures.dimension)
    assert count_parameters(model) == 408_928


def test_an_image_has_the_same_features_alone_and_in_a_batch() -> None:
    model, images = TissueFeatures().eval(), torch.rand(3, 3, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]))


def test_gradients_reach_every_layer() -> None:
    model = TissueFeatures()
    model(torch.rand(4, 3, 48, 48)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
