"""``histoscale cancer`` at the command line."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from histoscale.cli import app
from histoscale.experiments.cancer.experiment import Found

FINISHED = Path(__file__).parents[2] / "docs" / "results" / "cancer"


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\nscales = 2\n[data]\npcam = "here"\nroot = "/"\n')
    result = CliRunner().invoke(app, ["cancer", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert str(path) in result.stderr
    assert "scales" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--from", str(FINISHED / "predictions.csv")], ["--from", str(FINISHED)]])
def test_tables_from_predictions_alone(words: list[str], tmp_path: Path) -> None:
    words += ["--set", "draws=100", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["cancer", "runs/cancer.toml", *words])
    assert result.exit_code == 0, result.output
    assert "| bicubic |" in result.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tables.md"]


def test_predictions_need_no_device(tmp_path: Path) -> None:
    words = ["--from", "none.csv", "--device", "cpu", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["cancer", "runs/cancer.toml", *words])
    assert result.exit_code == 2
    assert "leave out --device." in " ".join(result.stderr.replace("│", " ").split())


def test_ctrl_c_says_how_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> Found:
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.cancer.experiment.cancer", stop)
    result = CliRunner().invoke(app, ["cancer", "runs/cancer.toml", "-o", str(tmp_path)])
    assert result.exit_code == 130
    assert result.stderr.startswith("error: stopped; ")
    assert "resume with the same command" in result.stderr
