"""``histoscale glands`` as a person meets it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.experiments.glands.config import all_settings
from histoscale.experiments.glands.results import GlandScore, write_scores
from histoscale.metrics.objects import Agreement


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["glands", *(str(word) for word in words)])


def test_tables_from_scores_alone(tmp_path: Path) -> None:
    sums = Agreement(1, 0, 0, 10, 10, 9.0, 9.0, 20.0, 20.0)
    scores = [
        GlandScore("test", image, "P", 1, *setting, "", sums, (1, 0, 0), (1, 0, 0))
        for setting in all_settings(("original", "lr", "bicubic", "m"))
        for image in "ab"
    ]
    write_scores(scores, tmp_path / "scores.csv")
    result = call("--from", tmp_path / "scores.csv", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "0.900" in result.stdout
    assert result.stdout.endswith(f"Results are in {tmp_path / 'out'}.\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tables.md", "tables.tex"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "RUN.toml or --from"),
        (["none.toml"], 1, "none.toml"),
        (["--from", "none.csv"], 1, "none.csv"),
        (["none.toml", "--workers", "0"], 2, "--workers"),
    ],
)
def test_mistakes(words: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    result = call(*words, "-o", tmp_path / "out")
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
