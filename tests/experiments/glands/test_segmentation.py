"""The U-Net answers with probabilities on images of any size."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float, Int, UInt8
from skimage.draw import disk

from histoscale.experiments.glands.config import GlandData, NetworkTable
from histoscale.experiments.glands.data import find_glands
from histoscale.experiments.glands.segmentation import (
    BACKGROUND,
    BOUNDARY,
    INSIDE,
    build_unet,
    gland_classes,
    predict,
    separate,
)
from histoscale.io.image_reader import read_labels
from histoscale.metrics.objects import agreement

TINY = NetworkTable(channels=(4, 8, 8), residual_units=0)


@pytest.mark.parametrize("size", [(32, 40), (33, 47), (66, 94)])
def test_probabilities_at_any_size(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (33, 47, 3), dtype=np.uint8)
    answer = predict(build_unet(TINY), image, size, TINY.multiple_px)
    assert answer.shape == (3, *size)
    np.testing.assert_allclose(answer.sum(axis=0), 1, atol=1e-5)


def test_the_padding_is_cut_off_again() -> None:
    """The far corner changes nothing near the origin, beyond the reach of the network."""
    network = build_unet(TINY)
    image = np.zeros((64, 64, 3), np.uint8)
    other = image.copy()
    other[60:, 60:] = 255
    near = [predict(network, p, (64, 64), TINY.multiple_px)[:, :8, :8] for p in (image, other)]
    np.testing.assert_allclose(*near, atol=1e-6)


# Annotations become classes, and classes become the same glands again, touching or cut by the border.


def certain(classes: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "3 h w"]:
    """What a network would answer that knows the classes."""
    return np.stack([classes == value for value in (BACKGROUND, INSIDE, BOUNDARY)]).astype(np.float32)


def touching() -> Int[np.ndarray, "h w"]:
    labels = np.zeros((40, 70), np.int64)
    labels[5:30, 5:30], labels[5:30, 30:60] = 1, 2
    return labels


def test_the_boundary_lies_in_the_gland_and_between_touching_ones() -> None:
    classes = gland_classes(touching(), 3)
    assert (classes[15, 5:8] == BOUNDARY).all()
    assert classes[15, 4] == BACKGROUND
    assert (classes[15, 8:27] == INSIDE).all()
    assert (classes[15, 27:33] == BOUNDARY).all()


def test_the_image_border_is_no_boundary() -> None:
    labels = np.zeros((30, 30), np.int64)
    labels[:, :15] = 1
    classes = gland_classes(labels, 3)
    assert (classes[[0, -1], :12] == INSIDE).all()
    assert (classes[:, 12:15] == BOUNDARY).all()


def test_an_image_that_is_one_gland_has_no_boundary() -> None:
    assert (gland_classes(np.ones((9, 9), np.int64), 3) == INSIDE).all()
    assert (gland_classes(np.zeros((9, 9), np.int64), 3) == BACKGROUND).all()


def test_touching_glands_come_apart() -> None:
    found = separate(certain(gland_classes(touching(), 3)), 3, 50)
    assert agreement(found, touching()).f1 == 1.0
    assert agreement(found, touching()).dice > 0.98


def test_without_a_boundary_class_they_would_be_one() -> None:
    merged = np.where(touching() > 0, INSIDE, BACKGROUND).astype(np.uint8)
    assert separate(certain(merged), 3, 50).max() == 1


def test_glands_cut_by_the_border_keep_their_pixels() -> None:
    labels = np.zeros((40, 40), np.int64)
    labels[disk((0, 0), 18, shape=labels.shape)] = 1
    found = separate(certain(gland_classes(labels, 3)), 3, 50)
    assert found[0, 0] == found[0, 17] == 1


def test_a_sliver_at_the_border_is_a_gland() -> None:
    """Only six pixels of it are in the image, three of them boundary: the opening must not eat the rest."""
    labels = np.zeros((40, 60), np.int64)
    labels[:6, 5:50] = 1
    assert agreement(separate(certain(gland_classes(labels, 3)), 3, 50), labels).dice > 0.9


def test_holes_are_filled_and_specks_dropped() -> None:
    classes = np.zeros((40, 60), np.uint8)
    classes[5:30, 5:30] = INSIDE
    classes[15:20, 15:20] = BACKGROUND
    classes[35:38, 50:55] = INSIDE
    found = separate(certain(classes), 3, 50)
    assert found.max() == 1
    assert found[17, 17] == 1


def test_a_thin_bridge_is_cut() -> None:
    classes = np.zeros((40, 70), np.uint8)
    classes[5:30, 5:28] = classes[5:30, 36:60] = classes[15:18, 28:36] = INSIDE
    assert separate(certain(classes), 3, 50).max() == 2


def test_nothing_is_found_in_nothing() -> None:
    assert separate(certain(np.zeros((20, 20), np.uint8)), 3, 50).max() == 0


def test_every_gland_of_glas_survives_the_way_there_and_back(data_root: Path) -> None:
    images = find_glands(GlandData(root=data_root))[::40]
    for image in images:
        labels = read_labels(image.mask)
        found = separate(certain(gland_classes(labels, 6)), 6, 300)
        result = agreement(found, labels)
        assert result.f1 > 0.9, image.id
        assert result.dice > 0.95, image.id
