"""Looking at a written slide: seams as stored, the share of tissue, and two views of the same field."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.slides.reader import open_slide
from histoscale.slides.regions import Rectangle
from histoscale.slides.tile_store import TileStore
from histoscale.slides.tissue import TissueMask
from histoscale.workflows.upscale.findings import look_at, measured_seams, share_of_tissue
from histoscale.workflows.upscale.slide_plan import SlidePlan

TILE_PX = 128
FIELD = Rectangle((0, 0), (160, 192))


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth noise, 160 wide and 192 high."""
    return np.asarray(
        Image.fromarray(np.random.default_rng(0).integers(60, 200, (96, 80, 3), np.uint8)).resize((160, 192))
    )


@pytest.fixture
def source(tmp_path: Path, picture: np.ndarray) -> Path:
    path = tmp_path / "source.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def plan(source: Path) -> SlidePlan:
    return SlidePlan(source, 0, (0, 0), (160, 192), (0, 0, 160, 192), (640, 768), TILE_PX, "model")


def stored(plan: SlidePlan, picture: np.ndarray, folder: Path, seam: int = 0) -> TileStore:
    """The picture enlarged, every second column of tiles brighter by ``seam``."""
    store = TileStore(folder)
    store.create(plan.size_xy[::-1], TILE_PX, {})
    pixels = np.asarray(Image.fromarray(picture).resize(plan.size_xy, Image.Resampling.BICUBIC)).copy()
    for column in range(TILE_PX, 640, 2 * TILE_PX):
        pixels[:, column : column + TILE_PX] += np.uint8(seam)
    store.write(slice(0, 768), slice(0, 640), pixels)
    return store


def test_seams_are_measured_in_the_store(plan: SlidePlan, picture: np.ndarray, tmp_path: Path) -> None:
    clean = measured_seams(plan, stored(plan, picture, tmp_path / "clean"))
    seamed = measured_seams(plan, stored(plan, picture, tmp_path / "seamed", seam=20))
    assert clean is not None
    assert seamed is not None
    assert clean.ratio == pytest.approx(1, abs=0.1)
    assert seamed.ratio > clean.ratio + 0.2


def test_the_share_of_tissue_is_that_of_the_saved_mask(tmp_path: Path) -> None:
    cells = np.zeros((10, 17), bool)
    cells[:5, :] = cells[5, :2] = True
    TissueMask(cells).save(tmp_path / "tissue.png")
    assert share_of_tissue(tmp_path / "tissue.png") == pytest.approx(87 / 170)


def test_both_views_show_the_same_field(
    plan: SlidePlan, picture: np.ndarray, source: Path, tmp_path: Path
) -> None:
    field = Rectangle((0, 96), (160, 96))
    target = tmp_path / "target.png"
    Image.fromarray(picture[96:]).resize((640, 384), Image.Resampling.BICUBIC).save(target)
    store = stored(plan, picture, tmp_path / "store")
    with open_slide(source) as slide:
        found = look_at(slide, field, plan, store, target)
    assert found.tissue_share is None
    assert found.seams is not None
    before, after = (Image.open(io.BytesIO(view or b"")) for view in found.views)
    assert (before.size, after.size) == ((160, 96), (480, 288))
    difference = np.asarray(after.resize(before.size), int) - np.asarray(before)
    assert np.abs(difference).mean() < 15  # JPEG; another field would be at 40


def test_a_view_that_fails_is_left_out(
    plan: SlidePlan, picture: np.ndarray, source: Path, tmp_path: Path
) -> None:
    reduced = replace(plan, method="reduce")
    store = stored(plan, picture, tmp_path / "store")
    with open_slide(source) as slide:
        found = look_at(slide, FIELD, reduced, store, tmp_path / "gone.ome.tiff")
    assert found.views.target is None
    assert found.views.source is not None
    assert found.seams is None  # no model, no seams of it
