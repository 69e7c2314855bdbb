from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import DataError, InputError, ScaleError
from histoscale.io.formats import open_slide
from histoscale.io.slide import Description, Mpp, Slide
from histoscale.io.tissue import TissueMask
from histoscale.tiling.crops import Cut, Frame, frame_of, grid_cuts, random_cuts, read_cut


class Painted(Slide):
    """A slide with levels in memory."""

    def __init__(self, *levels: np.ndarray, mpp: Mpp | None = Mpp(0.25, 0.25)):  # noqa: B008
        self.levels = levels
        self.levels_read: list[int] = []
        sizes = tuple((pixels.shape[1], pixels.shape[0]) for pixels in levels)
        self.description = Description(Path("a.svs"), "array", sizes[0], "RGB", 8, mpp, levels_xy=sizes)

    def read_region(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        self._place(level, level_xy, size_xy)
        self.levels_read.append(level)
        (x, y), (w, h) = level_xy, size_xy
        return self.levels[level][y : y + h, x : x + w]

    def associated_image(self, name: str) -> np.ndarray:
        raise InputError("none.")

    def close(self) -> None:
        pass


def texture(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def left_half() -> TissueMask:
    cells = np.zeros((10, 20), bool)
    cells[:, :10] = True
    return TissueMask(cells)


FRAME = Frame((1000, 500), Mpp(0.5, 0.5))


def test_the_grid_has_whole_sub_images_with_enough_tissue(left_half: TissueMask) -> None:
    cuts = grid_cuts("a", FRAME, left_half, 200, 0.5)
    assert [cut.xy for cut in cuts] == [(x, y) for y in (0, 200) for x in (0, 200, 400)]
    assert [cut.tissue for cut in cuts] == pytest.approx([1, 1, 0.5] * 2)
    assert len(grid_cuts("a", FRAME, left_half, 200, 0.51)) == 4
    assert len(grid_cuts("a", FRAME, left_half, 200, 0)) == 10
    assert len(grid_cuts("a", FRAME, left_half, 70, 1)) == 49
    assert grid_cuts("a", FRAME, left_half, 501, 0) == []


def test_without_a_size_the_slide_is_one_sub_image(left_half: TissueMask) -> None:
    (cut,) = grid_cuts("a", FRAME, left_half, None, 0)
    assert cut == Cut("a", (0, 0), (1000, 500), 0.5)
    assert grid_cuts("a", FRAME, left_half, None, 0.6) == []


def test_random_places_are_distinct_within_and_on_tissue(left_half: TissueMask) -> None:
    cuts = random_cuts("a", FRAME, left_half, 96, 0.5, 200, seed=0)
    xs, ys = np.array([cut.xy for cut in cuts]).T
    assert len({cut.id for cut in cuts}) == 200
    assert min(xs) >= 0 and max(xs) <= 500 - 48 and max(ys) <= 500 - 96  # noqa: PT018
    assert max(ys) > 350
    assert min(cut.tissue for cut in cuts) >= 0.5


def test_random_places_depend_ononly_the_seed_and_the_slide(left_half: TissueMask) -> None:
    def places(name: str, seed: int, count: int = 20) -> list[tuple[int, int]]:
        return [cut.xy for cut in random_cuts(name, FRAME, left_half, 96, 0.5, count, seed)]

    assert places("a", 0) == places("a", 0) == places("a", 0, 40)[:20]
    assert places("a", 0) != places("a", 1)
    assert places("a", 0) != places("b", 0)


@pytest.mark.parametrize(("side", "least"), [(501, 0.0), (240, 1.1)])
def test_too_few_random_places_are_refused(left_half: TissueMask, side: int, least: float) -> None:
    with pytest.raises(DataError, match=r"^a \(1000 x 500 px\) .* 5 random .* found \d+\."):
        random_cuts("a", FRAME, left_half, side, least, 5, seed=0)


def test_the_frame_is_level_0_or_coarser() -> None:
    slide = Painted(texture(300, 500), mpp=Mpp(0.25, 0.24))
    assert frame_of(slide) == Frame((500, 300), Mpp(0.25, 0.24))
    assert frame_of(slide, 0.2451) == Frame((500, 300), Mpp(0.25, 0.24))
    coarse = frame_of(slide, 0.7)
    assert coarse.size_xy == (178, 102)
    assert coarse.mpp == (pytest.approx(0.7, rel=0.01), pytest.approx(0.7, rel=0.01))
    assert coarse.mpp.x * 178 == pytest.approx(500 * 0.25)


def test_finer_or_unknown_resolution_is_refused() -> None:
    with pytest.raises(ScaleError, match=r"a\.svs has 0\.25 um per pixel, which is coarser than 0\.125"):
        frame_of(Painted(texture(30, 50)), 0.125)
    unknown = Painted(texture(30, 50), mpp=None)
    assert frame_of(unknown) == Frame((50, 30), None)
    with pytest.raises(InputError, match="--source-mpp"):
        frame_of(unknown, 0.5)
    assert frame_of(unknown, 0.5, source_mpp=0.25).size_xy == (25, 15)


def test_the_slide_s_own_pixels_are_not_resampled() -> None:
    slide = Painted(texture(300, 500), texture(75, 125))
    pixels = read_cut(slide, frame_of(slide), Cut("a", (33, 44), (100, 90), 1.0))
    assert np.array_equal(pixels, slide.levels[0][44:134, 33:133])


@pytest.mark.parametrize("mpp", [0.5, 0.61, 1.2])
def test_downsampled_sub_images_are_parts_of_the_downsampled_slide(mpp: float) -> None:
    slide = Painted(texture(600, 900))
    frame = frame_of(slide, mpp)
    whole = np.asarray(Image.fromarray(slide.levels[0]).resize(frame.size_xy, Image.Resampling.BICUBIC))
    across, down = frame.size_xy
    for x, y in [(0, 0), (31, 17), (across - 64, down - 64)]:
        pixels = read_cut(slide, frame, Cut("a", (x, y), (64, 64), 1.0))
        assert np.abs(pixels.astype(int) - whole[y : y + 64, x : x + 64]).max() <= 1


def test_the_coarsest_sufficient_level_is_read() -> None:
    slide = Painted(texture(640, 960), texture(320, 480), texture(40, 60))
    read_cut(slide, frame_of(slide, 1.0), Cut("a", (0, 0), (64, 64), 1.0))
    assert slide.levels_read == [1]
    level_itself = read_cut(slide, frame_of(slide, 0.5), Cut("a", (10, 20), (64, 64), 1.0))
    assert np.array_equal(level_itself, slide.levels[1][20:84, 10:74])


def test_a_real_slide(data_root: Path) -> None:
    path = data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        frame = frame_of(slide, 1.0)
        pixels = read_cut(slide, frame, Cut("a", (200, 300), (128, 128), 1.0))
        box = [round(n * 1.0 / 0.499) for n in (200, 300, 128, 128)]
        own = slide.read_region(0, (box[0], box[1]), (box[2], box[3]))
    assert frame.size_xy == (1107, 1480)
    expected = np.asarray(Image.fromarray(own).resize((128, 128), Image.Resampling.BICUBIC))
    assert np.abs(pixels.astype(int) - expected).mean() < 6
