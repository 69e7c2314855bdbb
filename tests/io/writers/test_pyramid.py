"""Every pixel is asked for once, and each level is the mean of the one above."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.io.writers.base import OutputSlide
from histoscale.io.writers.pyramid import PyramidLevels, level_sizes, scratch_bytes

TILE_PX = 256


def joined(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def test_levels_are_halved_down_to_a_thumbnail() -> None:
    assert level_sizes((4097, 10)) == ((4097, 10), (2049, 5), (1025, 3), (513, 2))
    assert level_sizes((10, 1024)) == ((10, 1024),)
    assert level_sizes((1, 1)) == ((1, 1),)


def test_each_level_is_the_mean_of_the_one_above(
    tmp_path: Path, finished_slide: OutputSlide, finished_pixels: np.ndarray
) -> None:
    meant = Image.fromarray(finished_pixels)
    with PyramidLevels(finished_slide, TILE_PX, tmp_path / "new") as levels:
        assert levels.sizes_xy == ((2101, 1301), (1051, 651), (526, 326))
        for level in range(3):
            found = joined(list(levels.tiles(level)), levels.grid(level)[1])
            assert np.array_equal(found, np.asarray(meant))
            meant = meant.reduce(2)
    assert list((tmp_path / "new").iterdir()) == []


def test_pixels_are_asked_for_once_in_reading_order(tmp_path: Path, finished_slide: OutputSlide) -> None:
    asked = []

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        asked.append((*l0_xy[::-1], *size_xy))
        return finished_slide.read(l0_xy, size_xy)

    with PyramidLevels(replace(finished_slide, read=read), TILE_PX, tmp_path) as levels:
        for level in range(3):
            list(levels.tiles(level))
    assert asked == sorted(asked)
    assert sum(width * height for _, _, width, height in asked) == 2101 * 1301


def test_expected_tiles_are_parts_of_the_levels(
    tmp_path: Path, finished_slide: OutputSlide, finished_pixels: np.ndarray
) -> None:
    with PyramidLevels(finished_slide, 1024, tmp_path) as levels:
        for level in range(3):
            list(levels.tiles(level))
    assert {(tile.level, tile.level_xy) for tile in levels.expected_tiles} == {
        *[(0, (0, 0)), (0, (0, 1024)), (0, (2048, 1024))],
        *[(1, (0, 0)), (1, (1024, 0))],
        (2, (0, 0)),
    }
    for tile in levels.expected_tiles[:3]:
        x, y = tile.level_xy
        assert np.array_equal(tile.pixels, finished_pixels[y : y + 512, x : x + 512])


def test_scratch_holds_no_more_than_said(tmp_path: Path, finished_slide: OutputSlide) -> None:
    with PyramidLevels(finished_slide, 64, tmp_path) as levels:
        list(levels.tiles(0))
        for _ in levels.tiles(1):
            files = (quarters._file for quarters in (levels._source, levels._target) if quarters)
            assert sum(file.seek(0, 2) for file in files) <= scratch_bytes((2101, 1301)) * 1.1


@pytest.mark.parametrize("size_xy", [(1, 1), (5000, 1), (1, 5000)])
def test_thin_slides(tmp_path: Path, finished_slide: OutputSlide, size_xy: tuple[int, int]) -> None:
    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        return np.full((size_xy[1], size_xy[0], 3), 77, np.uint8)

    with PyramidLevels(replace(finished_slide, size_xy=size_xy, read=read), TILE_PX, tmp_path) as levels:
        for level, (width, height) in enumerate(levels.sizes_xy):
            found = joined(list(levels.tiles(level)), levels.grid(level)[1])
            assert found.shape == (height, width, 3)
            assert np.all(found == 77)
