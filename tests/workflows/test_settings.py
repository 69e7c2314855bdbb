"""The settings of a downstream task: what they are called, what they learnt from, and that they fit."""

from pathlib import Path

import pytest
import torch

from histoscale import weights
from histoscale.errors import ConfigError, DataError, WeightsError
from histoscale.models.catalog import build
from histoscale.workflows.rows import write_rows
from histoscale.workflows.settings import Setting, describe, load_models, read_settings


def test_what_models_learnt_from() -> None:
    settings = describe({"fast": "iste-fast"})
    assert [one.name for one in settings] == ["original", "low resolution", "bicubic", "fast"]
    assert settings[3].learnt_from == "glas train (95 images), monuseg train (21 images)"
    assert settings[3].digest == weights.card("iste-fast").sha256[:12]
    assert settings[2] == Setting("bicubic", "", "")


def test_they_read_back(tmp_path: Path) -> None:
    settings = describe({"fast": "iste-fast"})
    write_rows(tmp_path / "settings.csv", Setting, settings)
    assert read_settings(tmp_path / "settings.csv") == settings
    with pytest.raises(DataError, match=r"but .*none\.csv cannot be read \(No such file"):
        read_settings(tmp_path / "none.csv")


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x3.safetensors"
    card = {"architecture": {"name": "edsr", "arguments": {"scale": 3, "blocks": 1, "channels": 4}}}
    weights.save(path, build("edsr", scale=3, blocks=1, channels=4), {**card, "data": [], "scales": (3, 3)})
    assert describe({"x3": str(path)})[3].learnt_from == "not stated"
    assert list(load_models({"x3": str(path)}, (8, 8), (24, 24), torch.device("cpu"))) == ["x3"]
    with pytest.raises(ConfigError, match="Model x3 cannot take part: "):
        load_models({"x3": str(path)}, (8, 8), (16, 16), torch.device("cpu"))
    with pytest.raises(WeightsError, match="no weights named liif"):
        describe({"liif": "liif"})
