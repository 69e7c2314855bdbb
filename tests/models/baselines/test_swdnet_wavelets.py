"""The Haar packet, its inverse, and the stage that corrects coefficients."""

import pytest
import torch

from histoscale.models.base import count_parameters
from histoscale.models.baselines.swdnet_wavelets import Branches, WaveletStage, haar, inverse_haar


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
        for branch in Branches(3, 4).branches
    ]
    assert kernels == [[(3, 3)], [(1, 3)] * 2, [(3, 1)] * 2, [(3, 3)] * 2]
    assert Branches(3, 4)(torch.rand(1, 3, 5, 6)).shape == (1, 4, 5, 6)


def test_a_silent_stage_leaves_the_coefficients() -> None:
    stage = WaveletStage(8)
    torch.nn.init.zeros_(stage.last.weight)
    torch.nn.init.zeros_(stage.last.bias)
    image = torch.rand(1, 3, 8, 12)
    assert torch.equal(stage(image), haar(image))


def test_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        assert count_parameters(WaveletStage(released=True)) == 1_999_913
        assert count_parameters(WaveletStage()) == 1_999_913 - 168  # a gate of 12 channels that nothing calls
