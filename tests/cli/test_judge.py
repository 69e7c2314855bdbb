"""``histoscale judge`` at the command line."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from tests.small import write_images


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["judge", *(str(word) for word in words)])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", "p", (32, 24)) / "p.png"


def test_a_table_is_shown(image: Path, tmp_path: Path) -> None:
    task = tmp_path / "contrast.py"
    task.write_text("def predict(image, sample):\n    return image.std()\n")
    result = call("--task-model", f"{task}:predict", "--data", image, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "| setting | score | of the original's | recovered |" in result.stdout
    assert "| iste-fast |" in result.stdout
    assert result.stdout.endswith(f"Scores of every image and the tables are in {tmp_path / 'out'}.\n")
    again = call("--from", tmp_path / "out" / "scores.csv", "-o", tmp_path / "again")
    assert again.stdout == result.stdout.replace("Scores of every image and the", "The").replace(
        str(tmp_path / "out"), str(tmp_path / "again")
    )


def test_a_task_or_scores_have_to_be_given(tmp_path: Path) -> None:
    result = call("-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--task-model" in result.stderr


def test_scores_need_no_task(tmp_path: Path) -> None:
    result = call("--from", "none.csv", "--task-model", "nuclei", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "leave out --task-model." in " ".join(result.stderr.replace("│", " ").split())


def test_an_error_of_the_task_names_its_line(image: Path, tmp_path: Path) -> None:
    task = tmp_path / "wrong.py"
    task.write_text("def predict(image, sample):\n    return image.median()\n")
    result = call("--task-model", f"{task}:predict", "--data", image, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert f"{task}, line 2" in result.stderr
    assert "no attribute 'median'" in result.stderr


def test_ctrl_c_says_how_to_resume(image: Path, tmp_path: Path) -> None:
    task = tmp_path / "slow.py"
    task.write_text("def predict(image, sample):\n    raise KeyboardInterrupt\n")
    result = call("--task-model", f"{task}:predict", "--data", image, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "resume with the same command" in result.stderr
