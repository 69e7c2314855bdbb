"""TIFF and OME-TIFF as slides: only what is wanted is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from histoscale.slides.reader import open_slide
from histoscale.slides.tiff_slide import TiffSlide

RGB = np.random.default_rng(0).integers(0, 256, (203, 301, 3), np.uint8)
GREY = RGB[..., :1].copy()
RECTANGLES = [(0, 0, 301, 203), (5, 7, 1, 1), (60, 50, 70, 90), (290, 190, 11, 13)]


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **({"metadata": None, "photometric": "rgb"} | options))
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">", "compression": "lzw", "predictor": True},
        {"tile": (64, 48)},
        {"tile": (64, 48), "compression": "deflate", "bigtiff": True},
        {"compression": "zstd", "rowsperstrip": 10},
        {"compression": "deflate", "rowsperstrip": 203},
        {"tile": (64, 64), "compression": "jpeg2000", "compressionargs": {"level": 0}},
    ],
)
def test_regions_are_slices_of_the_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    with open_slide(save(tmp_path / "x.tif", RGB, **options)) as slide:
        assert isinstance(slide, TiffSlide)
        for x, y, w, h in RECTANGLES:
            assert np.array_equal(slide.read_region(0, (x, y), (w, h)), RGB[y : y + h, x : x + w])
