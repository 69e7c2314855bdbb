"""A tile whose memory runs out is computed in halves, with the same pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8

from histoscale.errors import HistoscaleError
from histoscale.models.iste.fast import FastISTE
from histoscale.workflows.upscale.slide_plan import ModelSetting, SlidePlan
from histoscale.workflows.upscale.tile_model import TileModel, halved

PART = slice(20, 148), slice(10, 106)


@pytest.fixture
def model(small_weights: Path) -> TileModel:
    setting = ModelSetting(str(small_weights), "", "cpu", "cpu", "fp32", 6, 1)
    plan = SlidePlan(Path("x"), 0, (0, 0), (60, 40), (0, 0, 60, 40), (240, 160), 256, "model", setting)
    return TileModel(plan, setting)


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


def test_other_errors_are_not_taken_for_want_of_memory(
    model: TileModel, rgb: UInt8[np.ndarray, "h w 3"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.upscale(PART, lambda rows, cols: rgb[rows, cols])


def test_where_even_the_smallest_part_fails(
    model: TileModel, rgb: UInt8[np.ndarray, "h w 3"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, 0, MemoryError())
    with pytest.raises(HistoscaleError, match="Memory does not hold even 48 x 64 output pixels"):
        model.upscale(PART, lambda rows, cols: rgb[rows, cols])


def test_the_longer_side_is_halved() -> None:
    assert halved((slice(2, 5), slice(0, 9))) == ((slice(2, 5), slice(0, 4)), (slice(2, 5), slice(4, 9)))
    assert halved((slice(0, 9), slice(2, 5))) == ((slice(0, 4), slice(2, 5)), (slice(4, 9), slice(2, 5)))
