"""``histoscale train`` at the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app

RUN = """
name = "small"
[model]
name = "liif"
arguments = {{encoder = "edsr", blocks = 1, channels = 8}}
[data]
root = "{root}"
scales = [2]
patch_px = 16
queries = 16
[training]
steps = 1
batch = 1
[validation]
scales = [2]
crop_px = 32
images_per_set = 1
"""


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_train_passes_our_errors_on(tmp_path: Path) -> None:
    result = call("train", tmp_path / "nowhere.toml")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("saved", "advice"),
    [
        (True, "--resume"),
        (False, "start the run again"),
    ],
)
def test_ctrl_c_while_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool, advice: str
) -> None:
    def stopped(_: Path, folder: Path, **__: Any) -> Path:
        if saved:
            (folder / "state.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.training.trainer.train", stopped)
    result = call("train", "run.toml", "-o", tmp_path)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.startswith("error: stopped; ")
    assert advice in result.stderr


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """A small training on one image of each of two data sets."""
    (tmp_path / "data").mkdir()
    rows = ["set,split,id,file"]
    for number, name in enumerate(("tcga", "glas")):
        image = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / f"{name}.png")
        rows += [f"{name},{split},{name}-{split},{name}.png" for split in ("train", "val")]
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(rows))
    path = tmp_path / "run.toml"
    path.write_text(RUN.format(root=tmp_path / "data"))
    return path


def test_set_overrides_keys_of_the_run_file(run_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("train", run_file, "-o", out, "--set", "data.sets=tcga", "--set", "model.encoder=rdn")
    assert result.exit_code == 0, result.stderr
    origin = json.loads((out / "origin.json").read_text())
    assert set(origin["images"]) == {"tcga/tcga-train"}
    assert json.loads((out / "small.json").read_text())["architecture"]["arguments"]["encoder"] == "rdn"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.set=tcga", ["data.set", "known here are", "sets"]),
        ("sets=tcga", ["sets", "known here are", "data"]),
        ("training.steps=many", ["training.steps=many", "integer"]),
        ("model.encoder=vgg", ["vgg", "edsr", "rdn"]),
        ("training.steps", ["training.steps", "KEY=VALUE"]),
        ("data.sets=nowhere", ["nowhere"]),
    ],
)
def test_a_wrong_key_or_value_is_one_sentence(
    run_file: Path, tmp_path: Path, setting: str, words: list[str]
) -> None:
    result = call("train", run_file, "-o", tmp_path / "out", "--set", setting)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("error: ")
    assert [word for word in words if word not in result.stderr] == []
