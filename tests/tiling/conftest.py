"""Synthetic slides to cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PaintSlide = Callable[..., Path]


@pytest.fixture
def paint(tmp_path: Path) -> PaintSlide:
    """Return a function that writes an image of tissue in the left ``share`` of its width and background."""

    def write(name: str, width: int = 640, height: int = 320, share: float = 0.5, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(60, 190, (height // 8, width // 8, 3), np.uint8)
        pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).copy()
        pixels[:, int(width * share) :] = 243
        path = tmp_path / name
        Image.fromarray(pixels).save(path, dpi=(50_800, 50_800))  # 0.5 um per pixel
        return path

    return write
