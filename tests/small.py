"""Small images and untrained models that tests make."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from histoscale import weights
from histoscale.models.catalog import build

TINY = {"blocks": 1, "channels": 8, "hidden": 8, "waves": 3}
"""Arguments of a small iste-fast."""


def rough_image(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """An image of a width and height with smooth spots of six pixels, which bicubic upscales fairly well."""
    spots = rng.integers(0, 256, (size[1] // 6, size[0] // 6, 3), dtype=np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC)


def write_images(folder: Path, names: Iterable[str], size: tuple[int, int]) -> Path:
    """PNG files of rough images, all different, in a new folder."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        rough_image(size, rng).save(folder / f"{name}.png")
    return folder


def write_weights(path: Path, name: str, seed: int = 0, **arguments: Any) -> Path:
    """Weights of an untrained model, which are changed enough to be distinguished from bicubic."""
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
        "budget": {"steps": 1200, "clock": "core"},
    }
    weights.save(path, model, card)
    return path
