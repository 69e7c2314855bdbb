"""The seam metric on pictures whose seams are known: none, planted, and the source's, which do not count."""

import math

import numpy as np
import pytest
from PIL import Image

from histoscale.metrics.seams import Jumps, Read, comparison_distance_px, jumps, measure, strips

TILE = 128


def reader(picture: np.ndarray) -> Read:
    return lambda xy, size_xy: picture[xy[1] : xy[1] + size_xy[1], xy[0] : xy[0] + size_xy[0]]


def ratio(picture: np.ndarray, scale: float = 2.0, tile_px: int = TILE) -> float:
    h, w, _ = picture.shape
    measured = measure(reader(picture), (w, h), tile_px, scale)
    assert measured is not None
    return measured.ratio


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth texture, 768 high and 640 wide, enlarged fourfold from noise: no tile took part."""
    noise = np.random.default_rng(0).integers(60, 200, (192, 160, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((640, 768), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("tile_px", [64, 128, 256])
def test_a_picture_without_tiles_has_a_ratio_of_about_one(picture: np.ndarray, tile_px: int) -> None:
    assert ratio(picture, scale=4.0, tile_px=tile_px) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_planted_seam_shows_along_either_axis(picture: np.ndarray, axis: int) -> None:
    tiles = np.arange(picture.shape[axis]) // TILE % 2 * 25  # every second tile 25 grey levels brighter
    seam = tiles[:, None, None] if axis == 0 else tiles[None, :, None]
    planted = (picture.astype(int).clip(0, 230) + seam).astype(np.uint8)
    assert ratio(planted, scale=4.0) > 1.1 * ratio(picture.clip(0, 230), scale=4.0)


def test_one_grey_level_between_flat_tiles_is_found() -> None:
    flat = np.full((256, 256, 3), 128, np.uint8)
    assert ratio(flat) == 1
    flat[:, TILE:] += 1
    measured = measure(reader(flat), (256, 256), TILE, 2.0)
    assert measured == Jumps(across=0.5, inside=0)  # one of the two borders jumps
    assert measured.ratio == math.inf


def test_blocks_of_the_source_do_not_count_as_seams() -> None:
    """Steps every 32 output pixels, 16 of the source at x2, lie on borders of tiles as elsewhere."""
    blocks = np.random.default_rng(1).integers(60, 200, (16, 16, 3), dtype=np.uint8)
    blocky = blocks.repeat(32, 0).repeat(32, 1)
    assert ratio(blocky) == pytest.approx(1, abs=0.1)


def test_a_border_is_compared_with_lines_in_its_tiles() -> None:
    assert comparison_distance_px(scale=4, tile_px=1024) == 64
    assert comparison_distance_px(scale=2.37, tile_px=1024) == 38
    assert comparison_distance_px(scale=40, tile_px=1024) == 512


def test_strips_stay_inside_and_cover_every_border() -> None:
    found = list(strips((700, 600), TILE, 20))
    for (x, y), (w, h), _ in found:
        assert x >= 0
        assert y >= 0
        assert x + w <= 700
        assert y + h <= 600
    assert {xy[0] + 21 for xy, _, down in found if down} == {128, 256, 384, 512, 640}
    assert {xy[1] + 21 for xy, _, down in found if not down} == {128, 256, 384, 512}


def test_jumps_are_counted_at_the_middle_and_to_both_sides() -> None:
    strip = np.zeros((4, 10, 3), np.uint8)  # columns 1 | 5 | 9 begin what is compared
    strip[:, 5:] = 30
    strip[:, 9:] = 20
    assert jumps(strip, 4) == Jumps(across=30, inside=5)


def test_a_single_tile_has_no_borders() -> None:
    assert measure(reader(np.zeros((100, 100, 3), np.uint8)), (100, 100), TILE, 2.0) is None


def test_only_as_much_is_read_as_asked_for() -> None:
    read: list[tuple[int, int]] = []

    def white(_: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        read.append(size_xy)
        return np.full((size_xy[1], size_xy[0], 3), 255, np.uint8)

    measured = measure(white, (200_000, 100_000), 1024, 4.0, pieces=20)
    assert measured == Jumps(0, 0)
    assert len(read) == 20
    assert {frozenset(size) for size in read} == {frozenset((130, 512))}
