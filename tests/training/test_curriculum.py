"""How far the curriculum of Li et al. degrades images over a training."""

import numpy as np
import pytest
import torch

from histoscale.data.pillow_degradation import degrade, upscale_bicubic
from histoscale.training import curriculum
from histoscale.training.curriculum import blurred_by_curriculum, mean_factor


def test_the_mean_grows_from_two_to_the_largest_by_half_way() -> None:
    assert mean_factor(0, 4) == 2
    assert mean_factor(0.25, 4) == pytest.approx(np.log2(10))
    assert mean_factor(0.5, 4) == mean_factor(0.9, 4) == 4
    assert mean_factor(0.25, 3) == pytest.approx(np.log2(6))
    assert {mean_factor(share, 2) for share in (0, 0.3, 1)} == {2}


def test_images_are_degraded_as_test_images_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curriculum, "SPREAD", 0.0)
    image = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    target = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    made = blurred_by_curriculum(target, 1.0, 3)[0].permute(1, 2, 0).numpy() * 255
    wanted = upscale_bicubic(degrade(image, (8, 8), 3.0), (24, 24))
    assert np.abs(made.clip(0, 255) - wanted).max() < 4


def test_each_image_has_its_own_factor_of_at_least_one() -> None:
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.random((1, 3, 16, 16), dtype=np.float32)).repeat(6, 1, 1, 1)
    made = blurred_by_curriculum(target, 0.0, 4)
    assert made.shape == target.shape
    blur = (made - target).abs().mean(dim=(1, 2, 3))
    assert len(set(blur.tolist())) > 3
    torch.manual_seed(5)
    again = blurred_by_curriculum(target, 0.0, 4)
    torch.manual_seed(5)
    assert torch.equal(blurred_by_curriculum(target, 0.0, 4), again)
