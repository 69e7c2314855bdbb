"""Ordinary pictures as slides of one level."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoscale.errors import InputError
from histoscale.slides.picture_slide import PictureSlide
from histoscale.slides.reader import describe, open_slide

RGB = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)


def test_a_region_is_a_slice(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        assert isinstance(slide, PictureSlide)
        assert slide.levels_xy == ((64, 40),)
        assert slide.description == describe(tmp_path / "x.png")
        assert np.array_equal(slide.read_region(0, (5, 7), (30, 20)), RGB[7:27, 5:35])
        with pytest.raises(
            InputError, match=r"30 x 20 px at \(40, 7\) of level 0 are wanted, which has 64 x 40"
        ):
            slide.read_region(0, (40, 7), (30, 20))
        with pytest.raises(InputError, match="has levels 0 to 0, and level 1 is wanted"):
            slide.read_region(1, (0, 0), (5, 5))
        with pytest.raises(InputError, match="no associated image 'label'"):
            slide.associated_image("label")


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    Image.fromarray(RGB[..., 0].copy()).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (5, 7), (30, 20))
    assert np.array_equal(found, RGB[7:27, 5:35, :1].repeat(3, axis=2))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.zeros((40, 64), np.uint8)
    alpha[:, 32:] = 255
    alpha[:20, :32] = 128
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (0, 0), (64, 40))
    assert np.array_equal(found[:, 32:], RGB[:, 32:])
    assert (found[20:, :32] == 255).all()
    mixed = RGB[:20, :32] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found[:20, :32] - mixed).max() <= 0.5


def test_a_refused_picture(tmp_path: Path) -> None:
    Image.new("CMYK", (6, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(InputError, match="is in CMYK"):
        open_slide(tmp_path / "x.jpg")


def test_of_a_pyramid_that_is_held_in_memory_there_is_one_level(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 257
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(deep, photometric="rgb", metadata=None, subifds=1)
        tiff.write(deep[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    assert describe(tmp_path / "x.tif").levels_xy == ((64, 40), (32, 20))
    with open_slide(tmp_path / "x.tif") as slide:
        assert isinstance(slide, PictureSlide)
        assert slide.levels_xy == ((64, 40),)
        assert slide.best_level(2) == 0
