"""``histoscale train`` as a person meets it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app


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
