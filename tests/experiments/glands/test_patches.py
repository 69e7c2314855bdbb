"""Patches are the same for a seed and step, and classes turn with their image."""

import numpy as np
import torch

from histoscale.experiments.glands.patches import BRIGHTNESS, CONTRAST, LabelledImage, PatchSampler, _tinted


def samples() -> list[LabelledImage]:
    """Images whose brightness is their class."""
    rng = np.random.default_rng(0)
    classes = [rng.integers(0, 3, size).astype(np.uint8) for size in ((40, 50), (20, 60))]
    return [LabelledImage(np.repeat(one[..., None] * np.uint8(100), 3, axis=2), one) for one in classes]


def test_the_same_for_the_same_step() -> None:
    one, two = PatchSampler(samples(), 32, 2, seed=3), PatchSampler(samples(), 32, 2, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.at(5), two.at(5), strict=True))
    assert not torch.equal(one.at(5)[0], one.at(6)[0])
    assert not torch.equal(one.at(5)[0], PatchSampler(samples(), 32, 2, seed=4).at(5)[0])


def test_classes_follow_their_image() -> None:
    patches = PatchSampler(samples(), 32, 2, seed=0)
    for step in range(8):
        images, classes = patches.at(step)
        assert images.shape == (2, 3, 32, 32)
        assert classes.shape == (2, 1, 32, 32)
        for image, truth in zip(images[:, 0], classes[:, 0], strict=True):
            means = [float(image[truth == value].mean()) for value in range(3)]
            spreads = [float(image[truth == value].std()) for value in range(3)]
            assert means == sorted(means)
            assert max(spreads) < 1e-6


def test_tints_stay_within_their_bounds() -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    tints = np.stack([_tinted(grey, np.random.default_rng(seed))[0, 0] for seed in range(50)]).astype(float)
    most = 100 * CONTRAST + BRIGHTNESS + 0.5
    assert np.abs(tints - 100).max() <= most
    assert tints.std() > 3
