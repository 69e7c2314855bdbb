"""Device, precision and weights are found, or refused in one sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from histoscale import weights
from histoscale.errors import ConfigError, HistoscaleError, ScaleError, WeightsError
from histoscale.inference import upscale
from histoscale.models.any_scale import at_any_scale
from histoscale.models.catalog import build
from histoscale.resources import multiplies_bf16
from histoscale.upscaling.engine import Engine, enough_memory
from histoscale.upscaling.executors import ThisProcess
from histoscale.upscaling.image import upscale_image
from histoscale.upscaling.options import Options
from histoscale.upscaling.slide import upscale_slide


def test_the_label_names_model_and_precision(engine: Engine) -> None:
    assert engine.label == "small fp32"
    assert engine.model.training is False


def test_auto_is_decided_by_the_processor(small_weights: Path) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engine = Engine(str(small_weights))
    assert engine.device == device
    assert engine.precision == ("bf16" if multiplies_bf16(device) else "fp32")


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_absent_devices(device: str) -> None:
    with pytest.raises(ConfigError, match=f"There is no device {device} here"):
        _ = Engine("iste-fast", device).device


def test_unknown_weights() -> None:
    with pytest.raises(WeightsError, match="There are no weights named nobody"):
        _ = Engine("nobody").model


def copied(weights: Path, folder: Path) -> Path:
    shutil.copy(weights.with_suffix(".json"), folder / "x.json")
    return Path(shutil.copy(weights, folder / "x.safetensors"))


def test_weights_of_another_architecture(small_weights: Path, tmp_path: Path) -> None:
    path = copied(small_weights, tmp_path)
    card = json.loads((tmp_path / "x.json").read_text())
    card["architecture"]["arguments"]["channels"] = 16
    (tmp_path / "x.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="do not fit"):
        _ = Engine(str(path)).model


def test_weights_that_were_changed(small_weights: Path, tmp_path: Path) -> None:
    path = copied(small_weights, tmp_path)
    tensors = load_file(path)
    next(iter(tensors.values()))[:] = torch.nan
    save_file(tensors, path)
    with pytest.raises(WeightsError, match="sha256 differs"):
        _ = Engine(str(path)).model


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out(error: Exception) -> None:
    with pytest.raises(HistoscaleError, match=r"Memory ran out while making x\.png"), enough_memory("x.png"):
        raise error


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shape"), enough_memory("x.png"):
        raise RuntimeError("shape")


@pytest.fixture
def edsr(tmp_path: Path) -> str:
    """Untrained weights that make x2 and nothing else."""
    arguments = {"scale": 2, "blocks": 1, "channels": 8}
    torch.manual_seed(0)
    card = {"architecture": {"name": "edsr", "arguments": arguments}, "data": [], "scales": (2, 2)}
    weights.save(tmp_path / "edsr.safetensors", build("edsr", **arguments), card)
    return str(tmp_path / "edsr.safetensors")


def test_a_fixed_scale_model_is_resized_where_that_is_allowed(
    edsr: str, source: Path, rgb: np.ndarray
) -> None:
    wanted = Options(scale=2.7)
    target, slide = source.with_name("b.png"), source.with_name("b.ome.tiff")
    strict = Engine(edsr, "cpu", "fp32")
    with pytest.raises(ScaleError, match="x2"):
        upscale_image(source, target, wanted, strict)
    with pytest.raises(ScaleError, match="x2"):
        upscale_slide(source, slide, wanted, strict, ThisProcess())
    assert not target.exists()
    assert not slide.exists()
    whole = upscale(at_any_scale(weights.load(edsr)), rgb, scale=2.7)
    engine = Engine(edsr, "cpu", "fp32", 64, allow_resize=True)
    told = upscale_image(source, target, wanted, engine).remarks
    assert np.abs(np.asarray(Image.open(target)).astype(int) - whole).max() <= 1
    assert told == ("edsr upscales by 2 only; bicubic interpolation did the rest",)
    lossless = Options(scale=2.7, tissue="all", compression="zstd")
    assert upscale_slide(source, slide, lossless, engine, ThisProcess()).remarks == told
    assert np.abs(np.asarray(tifffile.imread(slide, series=0, level=0)).astype(int) - whole).max() <= 1


def test_the_scale_of_the_model_gives_no_remark(edsr: str, source: Path) -> None:
    engine = Engine(edsr, "cpu", "fp32", allow_resize=True)
    assert upscale_image(source, source.with_name("b.png"), Options(scale=2), engine).remarks == ()
