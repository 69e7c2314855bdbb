"""Small views: part, size, level and memory."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.io import thumbnail as module
from histoscale.io.formats import open_slide
from histoscale.io.slide import Description, Slide
from histoscale.io.thumbnail import overview, to_jpeg


class Pyramid(Slide):
    """Levels in memory; remembers what was read."""

    def __init__(self, *levels: np.ndarray):
        sizes = tuple((level.shape[1], level.shape[0]) for level in levels)
        self.description = Description(Path("x"), "test", sizes[0], "RGB", 8, levels_xy=sizes)
        self.levels = levels
        self.read: list[tuple[int, tuple[int, int]]] = []

    def read_region(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        self._place(level, level_xy, size_xy)
        self.read.append((level, size_xy))
        (x, y), (w, h) = level_xy, size_xy
        return self.levels[level][y : y + h, x : x + w]

    def associated_image(self, name: str) -> np.ndarray:
        raise NotImplementedError

    def close(self) -> None:
        pass


def quarters() -> np.ndarray:
    """1200 x 960 pixels: black, red, green, blue."""
    image = np.zeros((960, 1200, 3), np.uint8)
    image[:480, 600:, 0] = image[480:, :600, 1] = image[480:, 600:, 2] = 255
    return image


def test_it_shows_the_whole_slide() -> None:
    seen = overview(Pyramid(quarters()), (0, 0), (1200, 960))
    assert seen is not None
    assert seen.shape == (384, 480, 3)
    np.testing.assert_array_equal(seen[192:, 240:], quarters()[480:, 600:][:192, :240])


def test_a_small_region_is_not_upscaled() -> None:
    seen = overview(Pyramid(quarters()), (590, 470), (20, 30))
    assert seen is not None
    np.testing.assert_array_equal(seen, quarters()[470:500, 590:610])


def test_the_coarsest_sufficient_level_is_read() -> None:
    base = quarters()
    slide = Pyramid(base, base[::2, ::2], base[::4, ::4])
    seen = overview(slide, (0, 0), (1200, 960))
    assert {level for level, _ in slide.read} == {1}
    np.testing.assert_array_equal(seen, overview(Pyramid(base), (0, 0), (1200, 960)))


def test_bands_change_no_pixel_and_bound_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (997, 1201, 3), np.uint8)
    whole = overview(Pyramid(noise), (100, 50), (1101, 947))
    monkeypatch.setattr(module, "BAND_PX", 40_000)
    slide = Pyramid(noise)
    np.testing.assert_array_equal(overview(slide, (100, 50), (1101, 947)), whole)
    assert max(w * h for _, (w, h) in slide.read) < 50_000


def test_a_large_slide_without_small_levels_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PX", 1_000_000)
    slide = Pyramid(quarters())
    assert overview(slide, (0, 0), (1200, 960)) is None
    assert slide.read == []


def test_a_real_slide(data_root: Path) -> None:
    with open_slide(data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs") as slide:
        seen = overview(slide, (0, 0), slide.levels_xy[0])
    assert seen is not None
    assert seen.shape == (480, 359, 3)
    file = to_jpeg(seen)
    assert len(file) < 60_000
    difference = np.abs(np.asarray(Image.open(io.BytesIO(file))).astype(int) - seen)
    assert difference.mean() < 5
