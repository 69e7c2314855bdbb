"""Which images and settings the figure shows."""

from pathlib import Path

import pytest

from histoscale.experiments.glands.data import GlandImage
from histoscale.experiments.glands.figure import evenly, shown_settings


@pytest.mark.parametrize(("n", "places"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (31, [5, 15, 25])])
def test_images_are_evenly_spread(n: int, places: list[int]) -> None:
    images = [GlandImage(str(i), "s", Path("a"), Path("m"), "test", "test") for i in range(n)]
    assert [int(image.id) for image in evenly(images)] == places


def test_the_paper_s_settings_are_shown() -> None:
    shown = shown_settings(("original", "lr", "bicubic", "iste"))
    assert shown == [
        ("original", "original"),
        ("original", "bicubic"),
        ("original", "iste"),
        ("lr", "original"),
        ("bicubic", "original"),
        ("iste", "original"),
    ]
