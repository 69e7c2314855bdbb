"""Patches of two kinds that a small ResNet distinguishes in seconds, as a list and in PCam's layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.cancer.experiment import cancer
from histoscale.run_file import read_tables

SIDE = 32
RUN = """
name = "small"
seeds = [1, 2]
draws = 200
precision = "fp32"
reference = "fast"
[data]
root = "{root}"
{source}
[classifier]
depth = 10
steps = {steps}
batch = 8
rate = 3e-3
validate_every = 2
threads = 1
[[models]]
label = "fast"
weights = "iste-fast"
"""
LIST = f"""patches = "patches.csv"
patch_px = {SIDE}
tasks = [
    {{ name = "striped", column = "kind", positive = "stripe", negative = "plain", where = {{ use = "1" }} }},
    {{ name = "light", column = "shade", positive = "1", negative = "0" }},
]"""
PCAM = 'pcam = "pcam"'


def draw_patch(positive: bool, rng: np.random.Generator) -> np.ndarray:
    """Pink noise, with stripes two pixels wide where positive: half of which is lost at half the size."""
    patch = rng.normal(170, 10, (SIDE, SIDE, 3))
    if positive:
        patch[:, ::4] -= 70
        patch[:, 1::4] -= 70
    return np.clip(patch, 0, 255).astype(np.uint8)


def patch_run(root: Path, source: str = LIST, steps: int = 3) -> Path:
    path = root / "small.toml"
    path.write_text(RUN.format(root=root, source=source, steps=steps))
    return path


def write_list(folder: Path) -> Path:
    """A run file beside a list of eight patches of each of 5 images: 2 to train, 1 to validate, 2 to test."""
    rng = np.random.default_rng(0)
    rows = ["split,file,patient,x,y,kind,shade,use"]
    for number, split in enumerate(("train", "train", "val", "test", "test")):
        kinds = [i % 2 == number % 2 for i in range(8)]
        Image.fromarray(np.hstack([draw_patch(kind, rng) for kind in kinds])).save(folder / f"{number}.png")
        for i, kind in enumerate(kinds):
            shade = "" if i == 7 else str(i % 3 // 2)
            word, use = ("stripe" if kind else "plain"), ("0" if i == 6 else "1")
            rows.append(f"{split},{number}.png,P{number},{i * SIDE},0,{word},{shade},{use}")
    (folder / "patches.csv").write_text("\n".join(rows) + "\n")
    return patch_run(folder)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """What `write_list` writes."""
    return write_list(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a run file, and what came of it in ``out``: to be copied, not changed."""
    pytest.importorskip("monai", reason="MONAI is not installed")
    folder = tmp_path_factory.mktemp("finished")
    cancer(write_list(folder), folder / "out")
    return folder


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Path:
    """The run file of a finished run, whose ``out`` beside it may be resumed."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "small.toml"


def write_pcam(folder: Path, n: int = 12, side: int = SIDE) -> None:
    """The six files as they are published, but for their number of patches."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        truth = np.arange(n) % 3 == 0
        patches = np.stack([draw_patch(bool(one), rng)[:side, :side] for one in truth])
        for name, content in (("x", patches), ("y", truth.astype(np.uint8).reshape(n, 1, 1, 1))):
            with h5py.File(folder / f"camelyonpatch_level_2_split_{split}_{name}.h5", "w") as file:
                file.create_dataset(name, data=content)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A run file beside a small PCam."""
    write_pcam(tmp_path / "pcam")
    return patch_run(tmp_path, PCAM)


@pytest.fixture
def run(listed: Path) -> CancerRun:
    return read_tables(listed, CancerRun)
