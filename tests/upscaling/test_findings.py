"""What is measured on a written slide: the share of tissue, and the two views."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.io.annotations import Rectangle
from histoscale.io.formats import open_slide
from histoscale.io.tile_store import TileStore
from histoscale.io.tissue import TissueMask
from histoscale.upscaling.findings import measure_written, share_of_tissue
from histoscale.upscaling.plan import SlidePlan

TILE_PX = 128
FIELD = Rectangle((0, 0), (160, 192))


@pytest.fixture
def image() -> np.ndarray:
    """Smooth noise, 160 wide and 192 high."""
    return np.asarray(
        Image.fromarray(np.random.default_rng(0).integers(60, 200, (96, 80, 3), np.uint8)).resize((160, 192))
    )


@pytest.fixture
def source(tmp_path: Path, image: np.ndarray) -> Path:
    path = tmp_path / "source.png"
    Image.fromarray(image).save(path)
    return path


@pytest.fixture
def plan(source: Path) -> SlidePlan:
    return SlidePlan(source, 0, (0, 0), (160, 192), (0, 0, 160, 192), (640, 768), TILE_PX, "model")


@pytest.fixture
def store(plan: SlidePlan, tmp_path: Path) -> TileStore:
    """The store of a slide whose tiles nobody looks at."""
    store = TileStore(tmp_path / "store")
    store.create(plan.size_xy[::-1], TILE_PX, {})
    return store


def test_the_share_of_tissue_is_that_of_the_saved_mask(tmp_path: Path) -> None:
    cells = np.zeros((10, 17), bool)
    cells[:5, :] = cells[5, :2] = True
    TissueMask(cells).save(tmp_path / "tissue.png")
    assert share_of_tissue(tmp_path / "tissue.png") == pytest.approx(87 / 170)


def test_both_views_show_the_same_field(
    plan: SlidePlan, store: TileStore, image: np.ndarray, source: Path, tmp_path: Path
) -> None:
    field = Rectangle((0, 96), (160, 96))
    target = tmp_path / "target.png"
    Image.fromarray(image[96:]).resize((640, 384), Image.Resampling.BICUBIC).save(target)
    with open_slide(source) as slide:
        found = measure_written(slide, field, plan, store, target)
    assert found.tissue_share is None
    before, after = (Image.open(io.BytesIO(view or b"")) for view in found.views)
    assert (before.size, after.size) == ((160, 96), (480, 288))
    difference = np.asarray(after.resize(before.size), int) - np.asarray(before)
    assert np.abs(difference).mean() < 15  # JPEG; another field would be at 40


def test_a_view_that_fails_is_left_out(
    plan: SlidePlan, store: TileStore, source: Path, tmp_path: Path
) -> None:
    reduced = replace(plan, method="reduce")
    with open_slide(source) as slide:
        found = measure_written(slide, FIELD, reduced, store, tmp_path / "gone.ome.tiff")
    assert found.views.target is None
    assert found.views.source is not None
