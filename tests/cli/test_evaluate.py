"""``histoscale evaluate`` at the command line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.experiments.scoring import Score, ScoringJob, score_jobs
from tests.small import write_images


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", "a", (60, 40)) / "a.png"


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("value", [None, ""])
def test_evaluate_asks_for_data(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", value or "")
    if value is None:
        monkeypatch.delenv("HISTOSCALE_DATA")
    result = call("evaluate")
    assert result.exit_code == 2
    assert "HISTOSCALE_DATA" in result.stderr


def test_evaluate_knows_the_devices_that_upscale_knows(source: Path) -> None:
    result = call(
        "evaluate", "--data", source, "-o", source.with_name("out"), "-m", "bicubic", "--device", "abacus"
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: There is no device abacus here: try auto or cpu.\n"


def test_ctrl_c_says_how_to_resume(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(jobs: Sequence[ScoringJob], *others: Any) -> Iterator[list[Score]]:
        yield from score_jobs(jobs[:1], *others)
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.scoring.score_jobs", stop)
    words = ["evaluate", "-m", "bicubic", "--data", source, "-o", tmp_path / "out", "--scale", 2]
    result = call(*words)
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    monkeypatch.undo()
    assert call(*words, "--resume").exit_code == 0
