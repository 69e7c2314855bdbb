"""Eq. 2 in its readings."""

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.models.base import count_parameters
from histoscale.models.iste.local_interactor import LocalInteractor

MODES = ("corrected", "printed", "code", "scrambled")


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_loops(literal, mode):
    module = LocalInteractor(16, mode).double()
    features = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    expected = torch.stack([literal.local_interactor(module, image) for image in features])
    assert torch.allclose(module(features), expected, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_gradient(mode):
    module = LocalInteractor(8, mode).double()
    features = torch.randn(1, 8, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (features,))


def test_modes_differ():
    features = torch.randn(1, 8, 3, 3)
    outputs = []
    for mode in MODES:
        torch.manual_seed(1)
        outputs.append(LocalInteractor(8, mode)(features))
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])
    assert not torch.allclose(outputs[2], outputs[3])


def test_parameters():
    assert count_parameters(LocalInteractor(64)) == 4160 + 8320 + 4160
    assert count_parameters(LocalInteractor(64, "code")) == 8320 + 8320 + 4160
    assert count_parameters(LocalInteractor(64, "printed")) == 4160 + 8320


def test_one_pixel_has_itself_for_a_window():
    module = LocalInteractor(8)
    pixel = torch.randn(1, 8, 1, 1)
    assert torch.allclose(module(pixel), module(pixel.expand(1, 8, 3, 3))[..., 1:2, 1:2], atol=1e-6)


def test_refuses_unknown_modes_and_odd_channels():
    with pytest.raises(ConfigError, match=r"lfi .*corrected, printed, code, scrambled"):
        LocalInteractor(64, "Printed")
    with pytest.raises(ConfigError, match=r"channels.*\b8\b"):
        LocalInteractor(12)
