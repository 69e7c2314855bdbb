"""Tiles of a slide: together they are the whole image, whatever the model, the scale and the tile."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from PIL import Image

import histoscale
from histoscale import weights
from histoscale.errors import HistoscaleError, WeightsError
from histoscale.io.formats import open_slide
from histoscale.io.tile_store import TileStore
from histoscale.io.tissue import TissueMask
from histoscale.models.catalog import build
from histoscale.models.iste.fast import FastISTE
from histoscale.resources import Precision
from histoscale.upscaling.plan import ModelSetting, SlidePlan, TileJob, TileResult
from histoscale.upscaling.tile import compute_tile
from histoscale.upscaling.tile_model import TileModel, halved

FIELD = (700, 900), (130, 110)
"""Of real tissue, (x, y) and (width, height)."""


@pytest.fixture
def slide(data_root: Path) -> Path:
    return data_root / "wsi/aperio/CMU-1-Small-Region.svs"


@pytest.fixture
def tissue(slide: Path) -> UInt8[np.ndarray, "h w 3"]:
    with open_slide(slide) as opened:
        return opened.read_region(0, *FIELD)


def plan_for(slide: Path, size_xy: tuple[int, int], tile_px: int = 64, **fields: object) -> SlidePlan:
    box = (0.0, 0.0, float(FIELD[1][0]), float(FIELD[1][1]))
    plan = SlidePlan(slide, 0, *FIELD, box, size_xy, tile_px, "copy")
    return replace(plan, **fields)  # type: ignore[arg-type]


def setting_of(name: str, precision: Precision = "fp32") -> ModelSetting:
    model = weights.load(name)
    return ModelSetting(
        name, weights.card(name).sha256, "cpu", "cpu", precision, model.halo_px, model.alignment_px
    )


def computed(
    plan: SlidePlan, folder: Path, mask: TissueMask | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], list[TileResult]]:
    """All tiles, in an order that is not theirs."""
    store = TileStore(folder / "store")
    if mask is not None:
        mask.save(store.tissue)
    store.create(plan.size_xy[::-1], plan.tile_px, {})
    results = [compute_tile(TileJob(plan, store.folder), i) for i in reversed(range(plan.tile_count))]
    return store.read((0, 0), plan.size_xy), results


def saved(folder: Path, name: str, arguments: dict[str, object]) -> str:
    model = build(name, **arguments)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    card = {
        "architecture": {"name": name, "arguments": arguments},
        "data": [],
        "licence": "none",
        "recipe": {},
        "metrics": {},
        "limits": [],
        "scales": (1, 4),
    }
    weights.save(folder / "model.safetensors", model, card)
    return str(folder / "model.safetensors")


def furthest(a: UInt8[np.ndarray, "h w 3"], b: UInt8[np.ndarray, "h w 3"]) -> int:
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize(
    ("size_xy", "precision", "tile_px"),
    [
        ((520, 440), "fp32", 512),
        ((260, 220), "fp32", 128),
        ((351, 297), "fp32", 256),
        ((520, 440), "bf16", 256),
    ],
)
def test_tiles_of_the_default_model_are_the_whole(
    slide: Path,
    tissue: UInt8[np.ndarray, "h w 3"],
    tmp_path: Path,
    size_xy: tuple[int, int],
    precision: Precision,
    tile_px: int,
) -> None:
    plan = plan_for(slide, size_xy, tile_px, method="model", setting=setting_of("iste-fast", precision))
    pixels, results = computed(plan, tmp_path)
    whole = histoscale.upscale(histoscale.load("iste-fast"), tissue, size_xy[::-1], precision=precision)
    assert furthest(pixels, whole) <= 1
    assert sum(result.model_pixels for result in results) == size_xy[0] * size_xy[1]


@pytest.mark.parametrize(
    ("name", "arguments", "size_xy"),
    [
        ("edsr", {"scale": 4, "blocks": 1, "channels": 8}, (520, 440)),
        ("iste", {"blocks": 1, "channels": 8, "width": 8, "hidden": 8, "window_px": 24}, (195, 165)),
        pytest.param("liif", {"encoder": "swinir", "blocks": 1}, (195, 165), marks=pytest.mark.slow),
    ],
)
def test_tiles_of_other_models_are_the_whole(
    slide: Path,
    tissue: UInt8[np.ndarray, "h w 3"],
    tmp_path: Path,
    name: str,
    arguments: dict[str, object],
    size_xy: tuple[int, int],
) -> None:
    weights_path = saved(tmp_path, name, arguments)
    plan = plan_for(slide, size_xy, 128, method="model", setting=setting_of(weights_path))
    whole = histoscale.upscale(weights.load(weights_path), tissue, size_xy[::-1])
    assert furthest(computed(plan, tmp_path)[0], whole) <= 1


def test_a_reduction_is_that_of_the_whole(
    slide: Path, tissue: UInt8[np.ndarray, "h w 3"], tmp_path: Path
) -> None:
    pixels, _ = computed(plan_for(slide, (50, 37), 64 // 4, method="reduce"), tmp_path)
    whole = np.asarray(Image.fromarray(tissue).resize((50, 37), Image.Resampling.BICUBIC))
    assert furthest(pixels, whole) <= 1


def test_a_copy_is_a_copy(slide: Path, tissue: UInt8[np.ndarray, "h w 3"], tmp_path: Path) -> None:
    pixels, results = computed(plan_for(slide, FIELD[1]), tmp_path)
    assert np.array_equal(pixels, tissue)
    assert {result.index for result in results} == set(range(6))


def test_background_is_bicubic_and_tissue_the_models(
    slide: Path, tissue: UInt8[np.ndarray, "h w 3"], tmp_path: Path, small_weights: Path
) -> None:
    cells = np.zeros((11, 13), bool)
    cells[:4, :4] = True
    mask, size = TissueMask(cells), (440, 520)
    everything = plan_for(slide, size[::-1], 128, method="model", setting=setting_of(str(small_weights)))
    full, _ = computed(everything, tmp_path / "all")
    pixels, results = computed(replace(everything, tissue=True), tmp_path / "mask", mask)
    weight = mask.weights(slice(0, 440), slice(0, 520), size)
    cheap = np.asarray(Image.fromarray(tissue).resize(size[::-1], Image.Resampling.BICUBIC))
    assert furthest(pixels[weight == 1], full[weight == 1]) == 0
    assert furthest(pixels[weight == 0], cheap[weight == 0]) <= 1
    assert furthest(full[weight == 0], cheap[weight == 0]) > 8  # so that the two can be told apart
    assert (weight > 0).sum() <= sum(result.model_pixels for result in results) < 440 * 520 / 2
    assert {result.model_pixels % 32**2 for result in results} == {0}  # few shapes: whole quarters of a side


# A tile whose memory runs out is computed in halves, with the same pixels.


PART = slice(20, 148), slice(10, 106)


@pytest.fixture
def model(small_weights: Path) -> TileModel:
    sha256 = weights.card(small_weights).sha256
    setting = ModelSetting(str(small_weights), sha256, "cpu", "cpu", "fp32", 6, 1)
    plan = SlidePlan(Path("x"), 0, (0, 0), (60, 40), (0, 0, 60, 40), (240, 160), 256, "model", setting)
    return TileModel(plan, setting)


def test_weights_that_changed_are_refused(model: TileModel) -> None:
    setting = model._plan.setting
    assert setting is not None
    with pytest.raises(WeightsError, match=r"small\.safetensors have changed"):
        TileModel(model._plan, replace(setting, sha256="0" * 64))


def short_of_memory(monkeypatch: pytest.MonkeyPatch, most_px: int, error: Exception) -> list[int]:
    """Windows of more pixels than that fail, as they would on a smaller machine."""
    windows, encode = [], FastISTE.encode

    def failing(model: FastISTE, image: torch.Tensor) -> object:
        windows.append(image.shape[2] * image.shape[3])
        if windows[-1] > most_px:
            raise error
        return encode(model, image)

    monkeypatch.setattr(FastISTE, "encode", failing)
    return windows


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
    ],
)
def test_halves_have_the_pixels_of_the_whole(
    model: TileModel,
    rgb: UInt8[np.ndarray, "h w 3"],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    whole, count, parts = model.upscale(PART, lambda rows, cols: rgb[rows, cols])
    assert (count, parts) == (128 * 96, 1)
    windows = short_of_memory(monkeypatch, 700, error)
    pixels, count, parts = model.upscale(PART, lambda rows, cols: rgb[rows, cols])
    assert max(windows) > 700
    assert (count, parts) == (128 * 96, 4)
    assert np.abs(pixels.astype(int) - whole).max() <= 1


def test_other_errors_are_not_mistaken_for_missing_memory(
    model: TileModel, rgb: UInt8[np.ndarray, "h w 3"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.upscale(PART, lambda rows, cols: rgb[rows, cols])


def test_where_even_the_smallest_part_fails(
    model: TileModel, rgb: UInt8[np.ndarray, "h w 3"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, 0, MemoryError())
    with pytest.raises(HistoscaleError, match="Memory ran out for 48 x 64 output pixels"):
        model.upscale(PART, lambda rows, cols: rgb[rows, cols])


def test_the_longer_side_is_halved() -> None:
    assert halved((slice(2, 5), slice(0, 9))) == ((slice(2, 5), slice(0, 4)), (slice(2, 5), slice(4, 9)))
    assert halved((slice(0, 9), slice(2, 5))) == ((slice(0, 4), slice(2, 5)), (slice(4, 9), slice(2, 5)))
