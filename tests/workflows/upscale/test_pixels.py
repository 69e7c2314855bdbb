"""uint8 in, uint8 out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale.workflows.upscale.engine import Engine
from histoscale.workflows.upscale.pixels import enlarge, resize


def test_enlarge_is_the_model(engine: Engine, rgb: np.ndarray) -> None:
    image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        wanted = engine.model(image, (97, 162)).clamp(0, 1).mul(255).round()[0].permute(1, 2, 0).numpy()
    found = enlarge(rgb, (97, 162), engine)
    assert abs(found - wanted).max() <= 1
    assert abs(found - resize(rgb, (97, 162)).astype(float)).max() > 3


def test_grey_is_the_mean_of_equal_channels(engine: Engine, rgb: np.ndarray) -> None:
    grey = rgb[..., :1].copy()
    colours = enlarge(np.repeat(grey, 3, axis=2), (80, 120), engine).astype(float)
    found = enlarge(grey, (80, 120), engine)
    assert found.shape == (80, 120, 1)
    assert abs(found[..., 0] - colours.mean(axis=2)).max() <= 1


def test_tiles_do_not_show(engine: Engine, rgb: np.ndarray) -> None:
    whole = enlarge(rgb, (108, 162), engine).astype(int)
    tiled = enlarge(rgb, (108, 162), replace(engine, tile_px=16))
    assert abs(tiled - whole).max() <= 1


def test_progress_ends_at_all_pixels(engine: Engine, rgb: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    enlarge(rgb, (80, 120), replace(engine, tile_px=16), lambda done, total: seen.append((done, total)))
    assert len(seen) > 4
    assert seen[-1] == (80 * 120, 80 * 120)


@pytest.mark.parametrize("channels", [1, 3])
def test_resize_is_pillows_bicubic(rgb: np.ndarray, channels: int) -> None:
    pixels = rgb[..., :channels].copy()
    flat = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    wanted = np.asarray(flat.resize((25, 17), Image.Resampling.BICUBIC)).reshape(17, 25, channels)
    assert np.array_equal(resize(pixels, (17, 25)), wanted)
