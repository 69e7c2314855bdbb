"""``histoscale study`` at the command line, with trainings that are finished already."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale import weights
from histoscale.cli import app
from histoscale.experiments.study.study_file import members, read_study
from histoscale.models.catalog import build

STUDY = """
name = "small"
seeds = [1]
[data]
root = "{root}"
scales = [2]
patch_px = 16
[training]
steps = 2
batch = 2
[comparison]
presets = ["table9"]
reference = "liif"
[[methods]]
label = "liif"
queries = 16
model = {{ name = "liif", arguments = {{ blocks = 1, channels = 4, width = 8 }} }}
[[methods]]
label = "lte"
queries = 16
model = {{ name = "lte", arguments = {{ encoder = "edsr", blocks = 1, channels = 4, width = 8 }} }}
"""


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """Two methods and one image to compare them on."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "test.png")
    (tmp_path / "manifest.csv").write_text("set,split,id,file\nnoise,test,test,test.png\n")
    path = tmp_path / "small.toml"
    path.write_text(STUDY.format(root=tmp_path))
    return path


@pytest.fixture
def finished(study_file: Path, tmp_path: Path) -> Path:
    """The folder of the study with the weights of liif, whose whole budget is used."""
    (planned,) = members(read_study(study_file).only(("liif",)))
    folder = tmp_path / "out" / planned.run.name
    folder.mkdir(parents=True)
    content = planned.run.model_dump(mode="json", exclude_none=True)
    (folder / "run.toml").write_text(tomli_w.dumps(content))
    model = planned.run.model
    card = {
        "architecture": {"name": model.name, "arguments": model.arguments},
        "data": [],
        "scales": (2, 2),
        "budget": {"steps": 2, "seconds": 1},
    }
    weights.save(folder / f"{planned.run.name}.safetensors", build(model.name, **model.arguments), card)
    return folder.parent


def test_finished_trainings_are_compared_and_nothing_is_trained(study_file: Path, finished: Path) -> None:
    result = call(study_file, "-o", finished, "--only", "liif")
    assert result.exit_code == 0, result.output
    assert "is trained" not in result.output
    assert "| liif |" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(f"{finished / 'comparison'}.")
    assert not list(finished.glob("*.log"))
    assert "lte" not in (finished / "comparison" / "small" / "trainings.md").read_text()


@pytest.mark.parametrize(
    "words",
    [["--steps-per-model", "3"], ["--set", "training.batch=3"], ["--set", "data.patch_px=8"]],
    ids=" ".join,
)
def test_another_budget_or_recipe_needs_another_folder(
    study_file: Path, finished: Path, words: list[str]
) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    result = call(study_file, "-o", finished, "--only", "liif", *words)
    assert result.exit_code == 1
    assert "liif-seed1 was trained" in result.stderr
    assert "another folder" in result.stderr
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "lif"], 1, ["lif", "liif, lte"]),
        (["--set", "training.stepps=3"], 1, ["training.stepps"]),
        (["--set", "comparison.presets=[table5]"], 1, ["presets"]),
        (["--recipe", "none.toml"], 1, ["none.toml"]),
        (["--steps-per-model", "2", "--minutes-per-model", "1"], 2, ["--steps-per-model", "--minutes"]),
        (["--steps-per-model", "-1"], 2, ["--steps-per-model"]),
        (["--workers", "0"], 2, ["--workers"]),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistakes_are_found_before_any_training(
    study_file: Path, tmp_path: Path, words: list[str], code: int, said: list[str]
) -> None:
    result = call(study_file, "-o", tmp_path / "out", *words)
    assert result.exit_code == code, result.output
    assert all(word in result.stderr for word in said)
    assert not (tmp_path / "out").exists()


def test_a_missing_study_file_is_named(tmp_path: Path) -> None:
    result = call(tmp_path / "none.toml", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "none.toml" in result.stderr
    assert result.stderr.count("\n") == 1
