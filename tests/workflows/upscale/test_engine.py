"""Device, precision and weights are found, or refused in one sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from histoscale.errors import ConfigError, HistoscaleError, WeightsError
from histoscale.workflows.processor import multiplies_bf16
from histoscale.workflows.upscale.engine import Engine, enough_memory


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


def test_other_errors_are_not_disguised() -> None:
    with pytest.raises(RuntimeError, match="shape"), enough_memory("x.png"):
        raise RuntimeError("shape")
