"""Glands that a small U-Net learns in a second: dark ellipses on a pale background, some of them touching."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Int
from PIL import Image
from skimage.draw import ellipse

RUN = """
name = "small"
seeds = [1]
[data]
root = "{root}"
sets = ["drawn"]
scale = 2
[[models]]
label = "fast"
weights = "iste-fast"
[network]
channels = [8, 16, 16]
residual_units = 1
[training]
steps = 60
batch = 2
patch_px = 48
rate = 1e-2
validate_every = 60
log_every = 10
checkpoint_minutes = 60
[objects]
boundary_px = 3
smallest_px = 30
sizes_px = [200, 400]
"""
PARTS = {"a": "train", "b": "train", "c": "val", "d": "test", "e": "test"}
OFFICIAL = {"a": "train", "b": "testA", "c": "testB", "d": "train", "e": "testA"}
SIZE = (65, 82)


def glands(seed: int) -> Int[np.ndarray, "h w"]:
    """Two that touch, one apart, one cut by the border."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.int64)
    top, left = rng.integers(14, 18, 2)
    places = [(top, left, 9, 10), (top, left + 19, 9, 10), (top + 30, left + 50, 12, 9), (SIZE[0], 10, 14, 9)]
    for label, place in enumerate(places, start=1):
        labels[ellipse(*place, shape=SIZE)] = label
    return labels


def write_run(folder: Path) -> Path:
    """A run file beside five annotated images of four patients."""
    root = folder / "data"
    root.mkdir()
    rows = ["set,split,id,file,mask,patient,official_split"]
    for number, (name, part) in enumerate(PARTS.items()):
        labels = glands(number)
        noise = np.random.default_rng(number).normal(0, 8, (*SIZE, 3))
        image = np.where(labels[..., None] > 0, [130, 60, 140], [235, 200, 225]) + noise
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(root / f"{name}.png")
        Image.fromarray(labels.astype(np.uint8)).save(root / f"{name}-mask.png")
        rows.append(f"drawn,{part},{name},{name}.png,{name}-mask.png,P{min(number, 3)},{OFFICIAL[name]}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    path = folder / "small.toml"
    path.write_text(RUN.format(root=root))
    return path


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """What `write_run` writes."""
    return write_run(tmp_path)
