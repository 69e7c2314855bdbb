from pathlib import Path

import numpy as np
import openslide
import pytest

from histoscale.errors import InputError
from histoscale.slides import cells
from histoscale.slides.cells import grid_of, read_cells
from histoscale.slides.description import Description, Mpp
from histoscale.slides.slide import Slide


class Painted(Slide):
    """Levels in memory; remembers what was read."""

    def __init__(self, *levels: np.ndarray, mpp: float | None = 0.5):
        self.levels = levels
        self.read: list[tuple[int, tuple[int, int], tuple[int, int]]] = []
        sizes = tuple((pixels.shape[1], pixels.shape[0]) for pixels in levels)
        self.description = Description(
            Path("painted"), "array", sizes[0], "RGB", 8, Mpp(mpp, mpp) if mpp else None, levels_xy=sizes
        )

    def read_region(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        (x, y), (w, h) = level_xy, size_xy
        height, width, _ = self.levels[level].shape
        if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
            raise InputError("outside.")
        self.read.append((level, level_xy, size_xy))
        return self.levels[level][y : y + h, x : x + w]

    def associated_image(self, name: str) -> np.ndarray:
        raise InputError("none.")

    def close(self) -> None:
        pass


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_cells_are_16_um_a_side_or_32_px() -> None:
    picture = noise(320, 640)
    assert grid_of(Painted(picture, mpp=0.5), (640, 320)) == (10, 20)
    assert grid_of(Painted(picture, mpp=0.25), (640, 320)) == (5, 10)
    assert grid_of(Painted(picture, mpp=None), (640, 320)) == (10, 20)
    assert grid_of(Painted(picture, mpp=29), (640, 320)) == (320, 640)


def test_cells_grow_with_huge_rectangles() -> None:
    h, w = grid_of(Painted(noise(2, 2)), (1_000_000, 500_000))
    assert h * w <= 1.01 * cells.MOST_CELLS
    assert w / h == pytest.approx(2, rel=0.01)


def test_a_cell_is_its_darkest_spot_in_its_darkest_channel() -> None:
    picture = np.full((64, 64, 3), 240, np.uint8)
    picture[40:48, 8:16, 1] = 100  # one spot of the cell in row 1, column 0
    picture[4, 40] = 0  # a pixel is no spot: 1 of 64
    values = read_cells(Painted(picture), (0, 0), (64, 64))
    assert values.tolist() == [[240, pytest.approx(240 * 63 / 64, abs=1)], [100, 240]]


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = Painted(noise(300, 500), mpp=0.7)
    whole = read_cells(slide, (13, 7), (450, 290))
    assert len(slide.read) == 1
    monkeypatch.setattr(cells, "BLOCK_PX", 64)
    pieces = read_cells(slide, (13, 7), (450, 290))
    assert np.abs(pieces - whole).max() <= 8  # pixels in the middle between two spots of noise go to either
    assert (pieces == whole).mean() > 0.9
    assert len(slide.read) > 20
    assert max(max(size_xy) for _, _, size_xy in slide.read[1:]) <= 64 + 2


def test_the_coarsest_level_that_shows_spots_is_read() -> None:
    slide = Painted(*(noise(1024 // step, 2048 // step) for step in (1, 2, 8, 16, 32)))  # a spot is 8 px
    read_cells(slide, (200, 96), (1024, 512))
    assert slide.read == [(2, (25, 12), (128, 64))]


def test_a_rectangle_to_the_edge_of_an_odd_level_stays_inside() -> None:
    slide = Painted(noise(1001, 1003), noise(250, 250))
    assert read_cells(slide, (3, 1), (1000, 1000)).shape == (32, 32)
    assert slide.read[0][0] == 1


@pytest.mark.parametrize("size_xy", [(0, 10), (10, -1)])
def test_an_empty_rectangle_is_refused(size_xy: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="Wanted a rectangle"):
        read_cells(Painted(noise(64, 64)), (0, 0), size_xy)


def test_levels_of_a_real_slide_agree(data_root: Path) -> None:
    path = data_root / "wsi" / "aperio" / "TCGA-CR-7395-01A-01-TS1.svs"
    with openslide.OpenSlide(path) as slide:
        fine, coarse = (
            np.asarray(slide.read_region((0, 0), i, slide.level_dimensions[i]).convert("RGB")) for i in (0, 1)
        )
    both, one = Painted(fine, coarse, mpp=1), Painted(fine, mpp=1)
    size_xy = both.levels_xy[0]
    assert np.abs(read_cells(both, (0, 0), size_xy) - read_cells(one, (0, 0), size_xy)).mean() < 8
    assert {level for level, *_ in both.read} == {1}
