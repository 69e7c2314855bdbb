"""A small untrained model on disk, and images to upscale."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from PIL import Image

from histoscale import weights
from histoscale.models.catalog import build
from histoscale.upscaling.engine import Engine

SMALL = {"blocks": 1, "channels": 8, "hidden": 16, "waves": 7}


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that visibly change an image, trained "for" x1 to x4."""
    torch.manual_seed(0)
    model = build("iste-fast", **SMALL)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    card = {
        "architecture": {"name": "iste-fast", "arguments": SMALL},
        "data": [],
        "licence": "none",
        "recipe": {},
        "metrics": {},
        "limits": [],
        "scales": (1, 4),
    }
    weights.save(path, model, card)
    return path


@pytest.fixture
def engine(small_weights: Path) -> Engine:
    """The small model on the CPU in float32."""
    return Engine(str(small_weights), "cpu", "fp32")


@pytest.fixture
def rgb() -> UInt8[np.ndarray, "h w 3"]:
    """A smooth random image, 40 x 60."""
    coarse = np.random.default_rng(0).integers(0, 256, (10, 15, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((60, 40), Image.Resampling.BICUBIC))


@pytest.fixture
def source(tmp_path: Path, rgb: UInt8[np.ndarray, "h w 3"]) -> Path:
    """The image on disk, 0.5 um per pixel."""
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path, dpi=(50_800, 50_800))
    return path
