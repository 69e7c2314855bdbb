"""Real slides, read piece by piece."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.errors import InputError
from histoscale.slides.reader import open_slide, read

REAL = [
    "aperio/CMU-1-Small-Region.svs",
    "aperio/TCGA-CR-7395-01A-01-TS1.svs",
    "dicom/multiframe_camelyon_challenge_image.dcm",
]


@pytest.mark.parametrize("name", REAL)
def test_regions_are_slices_of_the_whole(data_root: Path, name: str) -> None:
    path = data_root / "wsi" / name
    whole = read(path).pixels
    with open_slide(path) as slide:
        width, height = slide.levels_xy[0]
        assert whole.shape == (height, width, 3)
        for x, y, w, h in [(0, 0, 100, 50), (301, 203, 257, 311), (width - 33, height - 21, 33, 21)]:
            assert np.array_equal(slide.read_region(0, (x, y), (w, h)), whole[y : y + h, x : x + w])


def test_a_pixel_of_a_reduced_level_is_the_same_in_every_rectangle(data_root: Path) -> None:
    with open_slide(data_root / "wsi" / REAL[1]) as slide:
        whole = slide.read_region(1, (0, 0), slide.levels_xy[1])
        for x, y, w, h in [(0, 0, 5, 5), (500, 510, 30, 20), (511, 0, 1, 1783), (1001, 999, 600, 700)]:
            assert np.array_equal(slide.read_region(1, (x, y), (w, h)), whole[y : y + h, x : x + w])


@pytest.mark.parametrize(
    ("level", "xy", "size"),
    [(0, (0, 0), (0, 5)), (0, (2200, 0), (21, 5)), (0, (-1, 0), (5, 5)), (1, (0, 0), (5, 5))],
)
def test_beyond_the_level(data_root: Path, level: int, xy: tuple[int, int], size: tuple[int, int]) -> None:
    with open_slide(data_root / "wsi" / REAL[0]) as slide, pytest.raises(InputError, match="wanted"):
        slide.read_region(level, xy, size)


def test_associated_images(data_root: Path) -> None:
    with open_slide(data_root / "wsi" / REAL[0]) as slide:
        assert slide.associated_image("thumbnail").shape == (768, 574, 3)
        with pytest.raises(InputError, match="no associated image 'back'"):
            slide.associated_image("back")
