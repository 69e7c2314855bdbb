"""The settings of a downstream task: names, training images of the models, and their images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale import weights
from histoscale.errors import ConfigError, DataError, WeightsError
from histoscale.experiments.downstream.settings import (
    AT_ONCE,
    Setting,
    SettingImages,
    describe_settings,
    load_models,
    name_models,
    read_settings,
)
from histoscale.experiments.results import rows_as_text
from histoscale.inference import upscale
from histoscale.models.catalog import build


def test_settings_name_the_training_images_of_models() -> None:
    settings = describe_settings({"fast": "iste-fast"})
    assert [one.name for one in settings] == ["original", "low resolution", "bicubic", "fast"]
    assert settings[3].learnt_from == "glas train (95 images), monuseg train (21 images)"
    assert settings[3].digest == weights.card("iste-fast").sha256[:12]
    assert settings[2] == Setting("bicubic", "", "")


def test_they_read_back(tmp_path: Path) -> None:
    settings = describe_settings({"fast": "iste-fast"})
    (tmp_path / "settings.csv").write_text(rows_as_text(Setting, settings))
    assert read_settings(tmp_path / "settings.csv") == settings
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        read_settings(tmp_path / "none.csv")


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x3.safetensors"
    card = {"architecture": {"name": "edsr", "arguments": {"scale": 3, "blocks": 1, "channels": 4}}}
    weights.save(path, build("edsr", scale=3, blocks=1, channels=4), {**card, "data": [], "scales": (3, 3)})
    assert describe_settings({"x3": str(path)})[3].learnt_from == "not stated"
    assert list(load_models({"x3": str(path)}, (8, 8), (24, 24), torch.device("cpu"))) == ["x3"]
    with pytest.raises(ConfigError, match="Model x3 cannot be used: "):
        load_models({"x3": str(path)}, (8, 8), (16, 16), torch.device("cpu"))
    with pytest.raises(WeightsError, match="no weights named liif"):
        describe_settings({"liif": "liif"})


def test_models_are_named_by_label_or_file_and_no_name_comes_twice() -> None:
    named = name_models(["iste-fast", "mine=run/net.safetensors"])
    assert named == {"iste-fast": "iste-fast", "mine": "run/net.safetensors"}
    for texts in (["a=x", "a=y"], ["bicubic=x"], ["original=x"]):
        with pytest.raises(ConfigError, match="Two settings are called"):
            name_models(texts)


def test_each_setting() -> None:
    """Pillow's bicubic down and up; a model alone as in a batch, which may be more than it takes at once."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (AT_ONCE + 1, 8, 12, 3), dtype=np.uint8)
    small = [Image.fromarray(image).resize((6, 4), Image.Resampling.BICUBIC) for image in truth]
    low = np.stack([np.asarray(image) for image in small])
    model = weights.load("iste-fast")
    images = SettingImages({"fast": model})
    assert (images.make("original", low, truth) == truth).all()
    assert (images.make("low resolution", low, truth) == low).all()
    bicubic = [np.asarray(image.resize((12, 8), Image.Resampling.BICUBIC)) for image in small]
    assert (images.make("bicubic", low, truth) == np.stack(bicubic)).all()
    fast = images.make("fast", low, truth)
    assert fast.shape == truth.shape
    for made, image in zip(fast, low, strict=True):
        assert abs(made.astype(int) - upscale(model, image, (8, 12)).astype(int)).max() <= 1
