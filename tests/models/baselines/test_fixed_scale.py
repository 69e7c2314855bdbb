"""EDSR, RDN and SwinIR at their own scale."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from histoscale.errors import ConfigError, ScaleError
from histoscale.models.base import count_parameters
from histoscale.models.baselines.fixed_scale import EDSR, RDN, FixedScale, SwinIR, upsampler

full_edsr = partial(EDSR, blocks=32, channels=256, residual_scale=0.1)


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        (EDSR, (1_369_859, 1_554_499, 1_517_571)),
        (full_edsr, (40_729_603, 43_680_003, 43_089_923)),
        (RDN, (22_123_395, 22_308_035, 22_271_107)),
        (SwinIR, (11_752_487, 11_937_127, 11_900_199)),
    ],
    ids=["edsr-baseline", "edsr", "rdn", "swinir"],
)
def test_parameters_are_the_published_ones(
    build: Callable[[int], FixedScale], counts: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        assert tuple(count_parameters(build(scale)) for scale in (2, 3, 4)) == counts


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upsampler_makes_the_scale_from_shuffles(scale: int) -> None:
    layers = upsampler(5, scale)
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "PixelShuffle"] * (1 + scale // 4) + [
        "Conv2d"
    ]
    assert layers(torch.rand(1, 5, 4, 6)).shape == (1, 3, 4 * scale, 6 * scale)


def test_another_size_is_refused_with_the_possible_one() -> None:
    with pytest.raises(ScaleError, match=r"x3.*12 x 15.*10 x 15"):
        EDSR(3, 1, 4)(torch.rand(1, 3, 4, 5), (10, 15))


def test_an_impossible_scale_is_refused_when_built() -> None:
    with pytest.raises(ConfigError, match=r"5.*2, 3 or 4"):
        EDSR(5, 1, 4)


def test_range_is_zero_to_one() -> None:
    model = EDSR(2, 1, 4)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(model.upsampler[-1].bias, 1.0)
    assert (model(torch.rand(1, 3, 4, 4), (8, 8)) == 1).all()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_halo_covers_the_receptive_field(scale: int) -> None:
    model = EDSR(scale, 1, 4).double()
    image = torch.rand(1, 3, 21, 21, dtype=torch.float64, requires_grad=True)
    middle = slice(10 * scale, 11 * scale)
    model(image, (21 * scale, 21 * scale))[:, :, middle, middle].sum().backward()
    touched = image.grad[0].abs().sum(0).nonzero()
    assert 10 - touched.min().item() == model.halo_px == touched.max().item() - 10


def test_the_mean_is_the_colour_that_is_zero_for_the_network() -> None:
    """An image of one colour, the mean, gives that colour plus the biases, also at the border."""
    mean = (0.4, 0.5, 0.6)
    model = EDSR(scale=2, blocks=1, channels=4, mean=mean)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
    colour = torch.tensor(mean).view(1, 3, 1, 1)
    torch.testing.assert_close(model(colour.expand(1, 3, 5, 6), (10, 12)), colour.expand(1, 3, 10, 12))
    with pytest.raises(ConfigError, match="mean"):
        EDSR(mean=(0.5,))


@pytest.mark.parametrize("size", [(8, 16), (11, 8), (1, 1)])
def test_swinir_can_be_padded_as_in_its_test_script(size: tuple[int, int]) -> None:
    h, w = size
    model = SwinIR(2, blocks=1, channels=4, embedding=12, padded_as_published=True).eval()
    image = torch.rand(1, 3, h, w)
    padded = image
    while padded.shape[2] <= h // 8 * 8 + 7:
        padded = torch.cat((padded, padded.flip(2)), 2)
    while padded.shape[3] <= w // 8 * 8 + 7:
        padded = torch.cat((padded, padded.flip(3)), 3)
    padded = padded[:, :, : (h // 8 + 1) * 8, : (w // 8 + 1) * 8]
    plain = SwinIR(2, blocks=1, channels=4, embedding=12).eval()
    plain.load_state_dict(model.state_dict())
    expected = plain(padded, (2 * padded.shape[2], 2 * padded.shape[3]))[:, :, : 2 * h, : 2 * w]
    torch.testing.assert_close(model(image, (2 * h, 2 * w)), expected)
    assert (plain(image, (2 * h, 2 * w)) - expected).abs().max() > 1e-5  # by default as before
