"""Tiny untrained weights, two pictures, and scores written by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale import weights
from histoscale.experiments.scoring import Score
from histoscale.models.catalog import build

ANY_SCALE = {"blocks": 1, "channels": 8, "hidden": 8, "waves": 3}

Scored = Callable[..., Score]


def save(path: Path, name: str, seed: int, **arguments: Any) -> Path:
    torch.manual_seed(seed)
    model = build(name, **arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    scale = arguments.get("scale")
    card = {
        "architecture": {"name": name, "arguments": arguments},
        "data": [],
        "scales": (scale or 1, scale or 4),
    }
    weights.save(path, model, card)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edsr-x2, edsr-x3 and edsr-x4, and two seeds of iste-fast: a, b."""
    path = tmp_path_factory.mktemp("weights")
    for scale in (2, 3, 4):
        save(path / f"edsr-x{scale}.safetensors", "edsr", scale, scale=scale, blocks=1, channels=8)
    for seed, name in enumerate("ab"):
        save(path / f"{name}.safetensors", "iste-fast", seed, **ANY_SCALE)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "tissue"
    path.mkdir()
    rng = np.random.default_rng(0)
    for name in ("p", "q", "r"):
        rough = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        rough.resize((60, 48), Image.Resampling.BICUBIC).save(path / f"{name}.png")
    return path


@pytest.fixture
def scored() -> Scored:
    """A score whose four figures follow from one."""

    def make(model: str, image: str, psnr: float, scale: float = 2.0, **others: Any) -> Score:
        about = {"dataset": "glas", "prep": "FFPE", "degradation": "B", **others}
        return Score(
            **{
                "image": image,
                "scale": scale,
                "model": model,
                "psnr_shaved": psnr,
                "psnr_whole": psnr + 1,
                "ssim": psnr / 100,
                "ssim_gaussian": psnr / 110,
                **about,
            }
        )

    return make
