"""``histoscale compare`` at the command line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.experiments.scoring import Score, ScoringJob, score_jobs
from tests.small import write_images


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["compare", *(str(word) for word in words)])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "tissue", "ab", (44, 40))


def test_tables_and_claims_are_shown(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("-m", "iste-fast", "--data", images, "-o", out, "--scale", 2)
    assert result.exit_code == 0, result.output
    assert "| method | x2 PSNR | x2 SSIM |" in result.stdout
    assert "| not in this run | Table 1 |" in result.stdout
    assert result.stdout.endswith(f"Scores, tables and tests are in {out}.\n")
    again = call("--from", out / "scores.csv", "-o", tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[:-1] == result.stdout.splitlines()[:-1]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["-m", "iste-fast", "--preset", "table5"], 1, "preset table5"),
        (["-m", "iste-fast", "--reference", "liif"], 1, "row liif"),
        (["-m", "x=iste-fast", "-m", "x=iste-fast"], 1, "row x"),
        (["--from", "nowhere.csv"], 1, "nowhere.csv"),
        (["--from", "scores.csv", "-m", "iste-fast"], 2, "leave out --model."),
        (["--from", "scores.csv", "--split", "test", "--workers", "1"], 2, "leave out --split, --workers."),
        (["-m", "iste-fast", "--resume", "--overwrite"], 2, "not both"),
        ([], 2, "give --model"),
    ],
)
def test_mistakes(
    words: list[str],
    code: int,
    sentence: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", str(images))
    result = call(*words, "-o", tmp_path / "out")
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_ctrl_c_says_how_to_resume(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(jobs: Sequence[ScoringJob], *others: Any) -> Iterator[list[Score]]:
        yield from score_jobs(jobs[:1], *others)
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.scoring.score_jobs", stop)
    words = ["-m", "iste-fast", "--data", images, "-o", tmp_path / "out", "--scale", 2]
    result = call(*words)
    assert result.exit_code == 130
    assert result.stderr.startswith("error: stopped; ")
    assert "--resume" in result.stderr
    monkeypatch.undo()
    assert call(*words, "--resume").exit_code == 0
