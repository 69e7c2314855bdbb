"""A study's trainings: processes of their own, kept once finished, gone on with where they were stopped."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from histoscale import weights
from histoscale.errors import HistoscaleError, OutputError
from histoscale.experiments.compare.compare import compare_again
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.paper_tables import find_presets
from histoscale.experiments.scoring import read_scores
from histoscale.experiments.study.study import study
from histoscale.experiments.study.study_file import members, read_study
from histoscale.experiments.study.trainings import Trainings


@pytest.fixture
def one_seed(study_file: Path) -> Path:
    """Each method once."""
    study_file.write_text(study_file.read_text().replace("[1, 2]", "[1]", 1))
    return study_file


def test_a_study_trains_once_and_compares(one_seed: Path, tmp_path: Path) -> None:
    ended: list[tuple[str, int]] = []

    def carry_out(steps: int = 0) -> Comparison:
        return study(one_seed, folder, only=["liif"], report=lambda *end: ended.append(end), steps=steps)

    folder = tmp_path / "out"
    assert carry_out().reference == "liif"
    assert ended == [("liif-seed1", 0)]
    rows = read_scores(folder / "comparison" / "small" / "scores.csv")
    assert {row.model for row in rows} == {"bicubic", "liif"}
    assert {row.scale for row in rows} == {2, 3, 4}
    written = folder / "liif-seed1" / "liif-seed1.safetensors"
    (row,) = (folder / "comparison" / "small" / "trainings.md").read_text().splitlines()[2:]
    assert row.startswith("| liif | 1 | any | 1 127 | 2 | 4 | ")
    assert row.endswith(" | undertrained |")
    assert "Two steps teach nothing." in weights.card(written).limits
    carry_out()
    assert len(ended) == 1
    with pytest.raises(OutputError, match="liif-seed1 was trained by another recipe or budget"):
        carry_out(steps=3)
    budget = weights.card(written).budget
    card = json.loads(written.with_suffix(".json").read_text()) | {"budget": budget | {"steps": 1}}
    written.with_suffix(".json").write_text(json.dumps(card))  # as an interrupted training leaves it
    carry_out()
    assert len(ended) == 2
    assert weights.card(written).budget["steps"] == 2


def test_rows_that_were_there_before_are_accounted_for_and_marked(one_seed: Path, tmp_path: Path) -> None:
    for label in ("liif", "edsr"):
        study(one_seed, tmp_path / "out", only=[label])
    tables = tmp_path / "out" / "comparison" / "small"
    account = [line.split(" | ")[:3] for line in (tables / "trainings.md").read_text().splitlines()[2:]]
    assert account == [["| edsr", "1", "x2"], ["| edsr", "1", "x3"], ["| liif", "1", "any"]]
    text = (tables / "tables.md").read_text()
    assert "liif†" in text
    assert "edsr†" not in text
    assert "†: undertrained" in text
    compare_again(tables / "scores.csv", tmp_path / "again", find_presets(["table9"], ()), reference="edsr")
    assert (tmp_path / "again" / "tables.md").read_text() == (tables / "tables.md").read_text()


def test_what_nobody_asked_for_does_not_stop_a_study(one_seed: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "edsr-x2-seed1").mkdir(parents=True)
    (tmp_path / "out" / "edsr-x2-seed1" / "run.toml").write_text("no run file")
    study(one_seed, tmp_path / "out", only=["liif"], steps=1)  # of which edsr has none for one of its scales
    account = (tmp_path / "out" / "comparison" / "small" / "trainings.md").read_text()
    assert [line.split(" | ")[0] for line in account.splitlines()[2:]] == ["| liif"]


def test_enough_patches_take_the_mark_away(
    one_seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoscale.experiments.study.trainings.FEW_PATCHES", 4)  # two steps of two
    assert study(one_seed, tmp_path / "out", only=["liif"]).undertrained == ()
    monkeypatch.setattr("histoscale.experiments.study.trainings.FEW_PATCHES", 5)
    assert study(one_seed, tmp_path / "out", only=["liif"]).undertrained == ("liif",)


def test_a_study_trains_by_another_recipe(one_seed: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    shared = one_seed.read_text().split("[data]")[1].split("[comparison]")[0]
    recipe.write_text("[data]\non_device = true" + shared.replace("steps = 2", "steps = 3"))
    study(one_seed, tmp_path / "out", only=["liif"], recipe=recipe)
    card = weights.card(tmp_path / "out" / "liif-seed1" / "liif-seed1.safetensors")
    assert card.budget["steps"] == 3
    assert (tmp_path / "out" / "liif-seed1.toml").read_text().count("on_device = true") == 1


def test_one_failure_does_not_stop_the_others(one_seed: Path, tmp_path: Path) -> None:
    wrong = one_seed.read_text().replace("blocks = 1, channels = 4 }", "depth = 1 }")
    one_seed.write_text(wrong.replace("scales = [2, 3]", "scales = [2]"))
    folder = tmp_path / "out"
    with pytest.raises(HistoscaleError, match=r"1 of the study's trainings failed.*edsr-x2-seed1\.log"):
        study(one_seed, folder)
    assert (folder / "liif-seed1" / "liif-seed1.safetensors").exists()
    assert "has no argument 'depth'" in (folder / "edsr-x2-seed1.log").read_text()


def test_a_polite_kill_leaves_a_study_that_goes_on(one_seed: Path, tmp_path: Path) -> None:
    one_seed.write_text(one_seed.read_text().replace("steps = 2", "steps = 100000"))
    folder = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "histoscale.cli",
        "study",
        str(one_seed),
        "--only",
        "liif",
        "-o",
        str(folder),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = folder / "liif-seed1" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and "psnr" in metrics.read_text()):
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    (member,) = members(read_study(one_seed).only(("liif",)))
    assert (folder / "liif-seed1" / "state.pt").exists()
    assert not Trainings(folder).finished(member.run)
