"""Tiny untrained weights, two sets of images with rough middles, and material made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from histoscale.data.manifest import find_images
from histoscale.experiments.figures.crops import open_scene, pair_of
from histoscale.experiments.figures.figure import Example, Material, Models
from histoscale.experiments.methods import read_methods
from tests.small import write_weights

ISTE = {"blocks": 1, "channels": 8, "width": 8, "hidden": 8}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "iste": ("iste", ISTE),
    "iste-tl-ltd": ("iste", {**ISTE, "pixel_decoder": False, "self_texture": False}),
    "iste-lfi-lpd": ("iste", {**ISTE, "texture_decoder": False, "self_texture": False}),
    "liif": ("liif", {"encoder": "edsr", "blocks": 1, "channels": 8}),
    "edsr": ("edsr", {"scale": 2, "blocks": 1, "channels": 8}),
}

Make = Callable[..., Material]


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """``LABEL=WEIGHTS`` of each of `MODELS`, by label."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, (label, (name, arguments)) in enumerate(MODELS.items()):
        write_weights(folder / f"{label}.safetensors", name, seed, **arguments)
    return {label: f"{label}={folder}/{label}.safetensors" for label in MODELS}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of two sets: a1, a2, a3 of 0.25 um per pixel, and b1 of unknown resolution."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    lines = ["id,file,set,split,mpp"]
    for name in ("a1", "a2", "a3", "b1"):
        image = np.full((90, 100, 3), 200, np.uint8)
        image[20:84, 24:88] = np.repeat(
            np.repeat(rng.integers(0, 256, (16, 16, 3), np.uint8), 4, axis=0), 4, axis=1
        )
        Image.fromarray(image).save(folder / f"{name}.png")
        lines.append(f"{name},{name}.png,{name[0]},test,{'0.25 (40x)' if name[0] == 'a' else ''}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def make(words: dict[str, str], data: Path) -> Make:
    """Material of some labels."""

    def material(*labels: str, scale: float = 2.0) -> Material:
        records = find_images(data)
        models = Models(read_methods([words[label] for label in labels]))
        scenes = [open_scene(record, 64) for record in records]
        pairs = [pair_of(scene, scale, "B") for scene in scenes]
        examples = [
            Example(scene, pair, models.upscaled(pair, scale))
            for scene, pair in zip(scenes, pairs, strict=True)
        ]
        return Material(tuple(records), tuple(examples), models, scale, "B")

    return material
