"""The degradations on tensors against Pillow's."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from histoscale.data.pillow_degradation import degrade as degrade_with_pillow
from histoscale.errors import ConfigError
from histoscale.imaging.degrade import (
    DEGRADATIONS,
    Degradation,
    blur_sigmas,
    box_radius,
    degrade,
    gaussian_blur,
)


def texture(side: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.clip(rng.normal(150, 60, (side, side, 3)), 0, 255).astype(np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("sigma", [0.25, 0.5, 1.0, 1.15, 1.5, 2.0, 3.5])
def test_blur_equals_pillow_to_the_byte(sigma: float) -> None:
    image = texture(40)
    ours = (gaussian_blur(as_tensor(image), sigma)[0] * 255).round().permute(1, 2, 0).numpy()
    theirs = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", DEGRADATIONS)
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 2.4, 3.3, 4.0, 8.0])
def test_degradation_equals_pillow_within_two_grey_levels(kind: Degradation, scale: float) -> None:
    image = texture(96)
    side = int(96 / scale)
    ours = degrade(as_tensor(image), (side, side), scale, kind)[0].permute(1, 2, 0).numpy() * 255
    theirs = degrade_with_pillow(image, (side, side), scale, kind)
    assert np.abs(ours - theirs).max() < 2


def test_degradations_differ() -> None:
    results = [degrade(as_tensor(texture(48)), (16, 16), 3.0, kind) for kind in DEGRADATIONS]
    for i, one in enumerate(results):
        assert all((one - other).abs().max() > 0.02 for other in results[i + 1 :])


def test_three_boxes_have_the_variance_of_the_gaussian() -> None:
    radius = box_radius(2.0)
    whole = int(radius)
    edge = (radius - whole) / (2 * radius + 1)
    inner = sum(i * i for i in range(-whole, whole + 1)) / (2 * radius + 1)
    assert 3 * (inner + 2 * edge * (whole + 1) ** 2) == pytest.approx(4.0)


def test_sigmas_of_the_official_code_and_of_the_text() -> None:
    assert blur_sigmas(4.0, "B") == (1.5, 0.0)
    assert blur_sigmas(4.0, "C") == (2.0, 0.0)
    assert blur_sigmas(4.0, "D") == (0.0, 2.0)
    assert blur_sigmas(1.0, "B") == (0.0, 0.0)


def test_unknown_degradation_is_named() -> None:
    unchecked = inspect.unwrap(blur_sigmas)  # a person's Python has no shape checker in front
    with pytest.raises(ConfigError, match="B, C, D, none, found E"):
        unchecked(2.0, "E")
