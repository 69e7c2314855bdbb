"""``histoscale cancer`` as a person meets it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from histoscale.cli import app
from histoscale.experiments.cancer.experiment import Found


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\nscales = 2\n[data]\npcam = "here"\nroot = "/"\n')
    result = CliRunner().invoke(app, ["cancer", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert str(path) in result.stderr
    assert "scales" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_ctrl_c_says_how_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> Found:
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.cancer.experiment.cancer", stop)
    result = CliRunner().invoke(app, ["cancer", "runs/cancer.toml", "-o", str(tmp_path)])
    assert result.exit_code == 130
    assert result.stderr.startswith("error: stopped; ")
    assert "resume with the same command" in result.stderr
