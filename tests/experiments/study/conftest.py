"""A study that is small enough to be trained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STUDY = """
name = "small"
seeds = [1, 2]
[data]
root = "{root}"
scale_range = [1, 2]
patch_px = 16
largest_hr_px = 32
[training]
steps = 2
average = 0.9
batch = 2
threads = 1
[validation]
scales = [2]
crop_px = 32
images_per_set = 1
minutes = 60
[comparison]
presets = ["table9"]
reference = "liif"
[[methods]]
label = "edsr"
scales = [2, 3]
model = {{ name = "edsr", arguments = {{ blocks = 1, channels = 4 }} }}
[[methods]]
label = "liif"
queries = 16
undertrained = "Two steps teach nothing."
model = {{ name = "liif", arguments = {{ blocks = 1, channels = 4, width = 8 }} }}
"""


@pytest.fixture(scope="session")
def study_in() -> Callable[[Path], Path]:
    """Writes a study: a fixed-scale and an arbitrary-scale method, two seeds, three images."""
    return write_study


def write_study(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["set,split,id,file"]
    for split in ("train", "val", "test"):
        noise = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{split}.png")
        rows.append(f"noise,{split},{split},{split}.png")
    (folder / "manifest.csv").write_text("\n".join(rows))
    path = folder / "small.toml"
    path.write_text(STUDY.format(root=folder))
    return path


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """The study in a folder of its own."""
    return write_study(tmp_path)
