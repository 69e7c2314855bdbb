"""``histoscale glands`` at the command line."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.experiments.glands.config import all_settings
from histoscale.experiments.glands.data import GlandImage
from histoscale.experiments.glands.scores import GlandScore
from histoscale.experiments.results import rows_as_text
from histoscale.metrics.objects import Agreement


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["glands", *(str(word) for word in words)])


def test_tables_from_scores_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    sums = Agreement(1, 0, 0, 10, 10, 9.0, 9.0, 20.0, 20.0)
    scores = [
        GlandScore.of(GlandImage(image, "s", path, path, "test", "test"), 1, setting, "", sums, (1, 0, 0) * 2)
        for setting in all_settings(("original", "lr", "bicubic", "m"))
        for image in "ab"
    ]
    path.write_text(rows_as_text(GlandScore, scores))
    result = call("--from", path, "-o", tmp_path / "out", "--latex")
    assert result.exit_code == 0, result.output
    assert "0.900" in result.stdout
    assert result.stdout.endswith(f"Results are in {tmp_path / 'out'}.\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tables.md", "tables.tex"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "RUN.toml or --from"),
        (["none.toml"], 1, "none.toml"),
        (["none.toml", "--from", "none.csv", "--workers", "2"], 2, "leave out RUN.toml, --workers."),
        (["--from", "none.csv"], 1, "none.csv"),
        (["none.toml", "--workers", "0"], 2, "--workers"),
    ],
)
def test_mistakes(words: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    result = call(*words, "-o", tmp_path / "out")
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
