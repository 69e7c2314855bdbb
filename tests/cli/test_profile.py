"""``histoscale profile`` at the command line, without real measurements."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.errors import HistoscaleError
from histoscale.experiments.profile import experiment
from histoscale.experiments.profile.measure import Call, Cost, Times


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["profile", *map(str, words)])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What is measured; every image costs as many seconds as calls were made, and grids fail."""
    made: list[Call] = []

    def measured(asked: Call) -> Cost:
        made.append(asked)
        if asked.points is None:
            raise HistoscaleError("Measuring failed: out of memory.")
        return Cost(Times(len(made), len(made)), Times(1.0, 1.0), 7.0)

    monkeypatch.setattr(experiment, "measure", measured)
    return made


def test_every_query_size_is_measured_and_shown(calls: list[Call], tmp_path: Path) -> None:
    result = call("-m", "liif", "--encoder", "edsr", "--repetitions", 1, "-o", tmp_path, "--threads", 3)
    assert result.exit_code == 0, result.output
    assert [asked.points for asked in calls] == list(experiment.QUERIES)
    assert {(asked.threads, asked.precision) for asked in calls} == {(3, "fp32")}
    assert "96^2" in result.stdout
    assert "liif, grid" in result.stderr
    assert "out of memory" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == set(experiment.FILES)


def test_the_best_repetition_is_shown(calls: list[Call], tmp_path: Path) -> None:
    result = call("-m", "bicubic", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert len(calls) == 2 * len(experiment.QUERIES)
    (costs,) = (model["costs"] for model in json.loads((tmp_path / "profile.json").read_text())["models"])
    encoded = [costs[f"{side}^2"]["encode"]["wall_s"] for side in (48, 96, 192)]
    assert encoded == [1, 2, 3]  # of the first repetition; the second takes 5, 6 and 7 seconds


def test_the_earlier_name_of_repetitions_is_understood(calls: list[Call], tmp_path: Path) -> None:
    result = call("-m", "bicubic", "-o", tmp_path, "--rounds", 1)
    assert result.exit_code == 0, result.output
    assert len(calls) == len(experiment.QUERIES)
    assert "--repetitions" in result.stderr


def test_results_are_replaced_only_on_request(calls: list[Call], tmp_path: Path) -> None:
    assert call("-m", "bicubic", "-o", tmp_path, "--repetitions", 1).exit_code == 0
    before = (tmp_path / "profile.md").read_text()
    refused = call("-m", "liif", "--encoder", "edsr", "-o", tmp_path)
    assert refused.exit_code == 1
    assert "profile.md" in refused.stderr
    assert (tmp_path / "profile.md").read_text() == before
    replaced = call("-m", "liif", "--encoder", "edsr", "-o", tmp_path, "--repetitions", 1, "--overwrite")
    assert replaced.exit_code == 0, replaced.output
    assert "liif" in (tmp_path / "profile.md").read_text()


def stopped(_: Call) -> Cost:
    raise KeyboardInterrupt


def broken(_: Call) -> Cost:
    raise RuntimeError("a bug")


@pytest.mark.parametrize(("ends", "code"), [(stopped, 130), (broken, 1)])
def test_it_ends_in_one_sentence(
    ends: Callable[[Call], Cost], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "measure", ends)
    monkeypatch.chdir(tmp_path)
    result = call("-m", "bicubic", "-o", tmp_path / "out")
    assert result.exit_code == code
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-m", "edsr"], 1, ["edsr", "arbitrary-scale"]),
        (["-m", "leaf"], 1, ["leaf"]),
        (["-m", "liif", "--encoder", "vgg"], 1, ["vgg", "swinir"]),
        (["-m", "liif", "--encoder", "edsr", "--device", "abacus"], 1, ["abacus"]),
        (["-m", "liif", "--repetitions", "0"], 2, ["--repetitions"]),
        (["-m", "liif", "--threads", "0"], 2, ["--threads"]),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistakes_are_found_before_anything_is_measured(
    calls: list[Call], tmp_path: Path, words: list[str], code: int, said: list[str]
) -> None:
    result = call(*words, "-o", tmp_path / "out")
    assert result.exit_code == code, result.output
    assert all(word in result.stderr for word in said)
    assert calls == []
    assert not (tmp_path / "out").exists()
