"""The rule that chooses crops and boxes, and what a caption says of them."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.data.manifest import find_images
from histoscale.errors import InputError
from histoscale.experiments.figures.crops import Window, gradient, open_scene, stated_mpp, strongest_edges


def test_the_window_is_the_one_that_trying_each_finds() -> None:
    image = np.random.default_rng(1).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    strength = gradient(image)
    tried = {(i, j): strength[i : i + 5, j : j + 5].mean() for i in range(13) for j in range(19)}
    found = strongest_edges(image, 5)
    assert tried[found.top, found.left] == pytest.approx(max(tried.values()))
    assert Window(*found).of(image).shape == (5, 5, 3)


def test_a_window_as_large_as_the_image() -> None:
    assert strongest_edges(np.zeros((6, 6, 3), np.uint8), 6) == (0, 0, 6)


def test_a_scene_is_the_rough_part_of_an_image(data: Path) -> None:
    scene = open_scene(find_images(data)[0], 64)
    assert abs(scene.window.top - 20) <= 1
    assert abs(scene.window.left - 24) <= 1
    left, top = scene.window.left, scene.window.top
    assert scene.describe() == f"a a1: 64 x 64 px at x {left}, y {top}, 0.25 µm per pixel"


def test_the_resolution_given_is_for_images_that_state_none(data: Path) -> None:
    known, *_, unknown = find_images(data)
    assert open_scene(known, 64, 0.5).mpp == 0.25
    assert open_scene(unknown, 64, 0.5).mpp == 0.5
    assert open_scene(unknown, 64).describe().endswith(f"y {open_scene(unknown, 64).window.top}")


def test_an_image_smaller_than_the_crop(data: Path) -> None:
    with pytest.raises(InputError, match=r"a1\.png has 100 x 90 .*96 x 96"):
        open_scene(find_images(data)[0], 96)


@pytest.mark.parametrize(
    ("words", "mpp"),
    [
        ("0.62005 (20x)", 0.62005),
        ("0.25 (40x, nominal)", 0.25),
        (" .5", 0.5),
        ("", None),
        ("0", None),
        ("?", None),
    ],
)
def test_a_resolution_is_read_from_text(words: str, mpp: float | None) -> None:
    assert stated_mpp(words) == mpp
