"""The U-Net answers with probabilities on images of any size."""

import numpy as np
import pytest

from histoscale.workflows.glands.network import build_unet, predict
from histoscale.workflows.glands.run_file import NetworkTable

TINY = NetworkTable(channels=(4, 8, 8), residual_units=0)


@pytest.mark.parametrize("size", [(32, 40), (33, 47), (66, 94)])
def test_probabilities_at_any_size(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (33, 47, 3), dtype=np.uint8)
    answer = predict(build_unet(TINY), picture, size, TINY.multiple_px)
    assert answer.shape == (3, *size)
    np.testing.assert_allclose(answer.sum(axis=0), 1, atol=1e-5)


def test_the_padding_is_cut_off_again() -> None:
    """The far corner changes nothing near the origin, beyond the reach of the network."""
    network = build_unet(TINY)
    picture = np.zeros((64, 64, 3), np.uint8)
    other = picture.copy()
    other[60:, 60:] = 255
    near = [predict(network, p, (64, 64), TINY.multiple_px)[:, :8, :8] for p in (picture, other)]
    np.testing.assert_allclose(*near, atol=1e-6)
