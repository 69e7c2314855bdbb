"""A study's trainings: separate processes, which are kept once finished and resumed where they stopped."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from histoscale import weights
from histoscale.errors import HistoscaleError, OutputError
from histoscale.experiments.compare.compare import compare_again
from histoscale.experiments.compare.paper_tables import find_presets
from histoscale.experiments.scoring import read_scores
from histoscale.experiments.study.study import line_up, study
from histoscale.experiments.study.study_file import members, read_study
from histoscale.experiments.study.trainings import Trainings


class Carried(NamedTuple):
    """A study that was carried out.

    Attributes:
        file: each method once, edsr at one scale.
        folder: its trainings and tables.
        ended: the trainings in the order of their ends, and how many were left.
        complaint: about the method of the first call that cannot be built.
    """

    file: Path
    folder: Path
    ended: list[tuple[str, int]]
    complaint: str

    @property
    def tables(self) -> Path:
        return self.folder / "comparison" / "small"

    def copied_to(self, folder: Path) -> "Carried":
        """The same for a test that changes what is in the folder, its study file included."""
        shutil.copytree(self.folder, folder / "out")
        return self._replace(file=Path(shutil.copy(self.file, folder)), folder=folder / "out")


WRONG = """[[methods]]
label = "wrong"
scales = [2]
model = { name = "edsr", arguments = { depth = 1 } }
[[methods]]"""


@pytest.fixture(scope="module")
def carried(study_in: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Carried:
    """Trained together with a method that fails, then compared one method at a time."""
    file = study_in(tmp_path_factory.mktemp("study"))
    folder, ended = file.parent / "out", list[tuple[str, int]]()
    text = file.read_text().replace("[1, 2]", "[1]", 1).replace("[2, 3]", "[2]")
    file.write_text(text.replace("[[methods]]", WRONG, 1))
    with pytest.raises(HistoscaleError) as caught:
        study(file, folder, workers=2, report=lambda *end: ended.append(end))
    file.write_text(text)
    for label in ("liif", "edsr"):
        assert study(file, folder, only=[label], report=lambda *end: ended.append(end)).reference == label
    return Carried(file, folder, ended, str(caught.value))


def test_one_failure_does_not_stop_the_others(carried: Carried) -> None:
    assert re.search(r"1 of the study's trainings failed.*wrong-x2-seed1\.log", carried.complaint)
    assert "has no argument 'depth'" in (carried.folder / "wrong-x2-seed1.log").read_text()
    assert {name for name, _ in carried.ended} == {"wrong-x2-seed1", "edsr-x2-seed1", "liif-seed1"}
    assert (carried.folder / "liif-seed1" / "liif-seed1.safetensors").exists()


def test_a_study_trains_once_and_compares(carried: Carried) -> None:
    assert [left for _, left in carried.ended] == [2, 1, 0]  # none of it again to be compared
    rows = read_scores(carried.tables / "scores.csv")
    assert {row.model for row in rows} == {"bicubic", "edsr", "liif"}
    assert {row.scale for row in rows if row.model == "liif"} == {2, 3, 4}
    card = weights.card(carried.folder / "liif-seed1" / "liif-seed1.safetensors")
    assert "Two steps teach nothing." in card.limits


def test_another_recipe_or_budget_needs_another_folder(carried: Carried, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"liif-seed1 .*another recipe or budget"):
        study(carried.file, carried.folder, only=["liif"], steps=3)
    with pytest.raises(OutputError, match=r"liif-seed1 .*another recipe or budget"):
        study(carried.file, carried.folder, only=["liif"], overrides=["training.batch=3"])
    with pytest.raises(OutputError, match=r"liif-seed1 .*another recipe or budget"):
        study(carried.file, carried.folder, only=["liif"], recipe=write_recipe(carried.file, tmp_path))


def write_recipe(study_file: Path, folder: Path) -> Path:
    """The study's own recipe, but on the device and for very long."""
    shared = study_file.read_text().split("[data]")[1].split("[comparison]")[0]
    path = folder / "recipe.toml"
    path.write_text("[data]\non_device = true" + shared.replace("steps = 2", "steps = 100000"))
    return path


def test_a_training_that_was_cut_short_is_resumed(carried: Carried, tmp_path: Path) -> None:
    own, ended = carried.copied_to(tmp_path), list[tuple[str, int]]()
    card = own.folder / "liif-seed1" / "liif-seed1.json"
    content = json.loads(card.read_text())
    content["budget"]["steps"] = 1  # as an interrupted training leaves it
    card.write_text(json.dumps(content))
    study(own.file, own.folder, only=["liif"], report=lambda *end: ended.append(end))
    assert ended == [("liif-seed1", 0)]
    assert weights.card(card.with_suffix(".safetensors")).budget["steps"] == 2


def test_earlier_rows_are_listed_and_marked(carried: Carried, tmp_path: Path) -> None:
    account = (carried.tables / "trainings.md").read_text().splitlines()[2:]
    assert [line.split(" | ")[:3] for line in account] == [["| edsr", "1", "x2"], ["| liif", "1", "any"]]
    assert account[1].startswith("| liif | 1 | any | 1 127 | 2 | 4 | ")
    assert account[1].endswith(" | undertrained |")
    text = (carried.tables / "tables.md").read_text()
    assert "liif†" in text
    assert "edsr†" not in text
    assert "†: undertrained" in text
    again = tmp_path / "again"
    compare_again(carried.tables / "scores.csv", again, find_presets(["table9"], ()), reference="edsr")
    assert (again / "tables.md").read_text() == text


def test_a_damaged_training_that_is_not_asked_for_does_not_stop_a_study(
    carried: Carried, tmp_path: Path
) -> None:
    own = carried.copied_to(tmp_path)
    (own.folder / "edsr-x2-seed1" / "run.toml").write_text("no run file")
    study(own.file, own.folder, only=["liif"])
    account = (own.tables / "trainings.md").read_text()
    assert [line.split(" | ")[0] for line in account.splitlines()[2:]] == ["| liif"]
    own.file.write_text(own.file.read_text().replace('edsr"\nscales = [2]', 'edsr"\nscales = [2, 3, 4]'))
    study(own.file, own.folder, only=["liif"])  # two steps are none for one of three scales
    assert (own.tables / "trainings.md").read_text() == account


def test_enough_patches_remove_the_mark(
    carried: Carried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = carried.copied_to(tmp_path)
    shutil.rmtree(own.tables)  # which remember marks
    monkeypatch.setattr("histoscale.experiments.study.trainings.FEW_PATCHES", 4)  # two steps of two
    assert study(own.file, own.folder, only=["liif"]).undertrained == ()
    monkeypatch.setattr("histoscale.experiments.study.trainings.FEW_PATCHES", 5)
    assert study(own.file, own.folder, only=["liif"]).undertrained == ("liif",)


def test_scales_share_a_row_and_seeds_do_not(study_file: Path) -> None:
    planned = [(member, Path(f"{member.run.name}.safetensors")) for member in members(read_study(study_file))]
    assert line_up(planned[:3]) == [
        "edsr=edsr-x2-seed1.safetensors",
        "edsr=edsr-x3-seed1.safetensors",
        "liif=liif-seed1.safetensors",
    ]
    assert line_up(planned)[2::3] == ["liif#1=liif-seed1.safetensors", "liif#2=liif-seed2.safetensors"]


def test_a_terminated_study_saves_the_states_of_its_trainings(study_file: Path, tmp_path: Path) -> None:
    recipe, folder = write_recipe(study_file, tmp_path), tmp_path / "out"
    study_file.write_text(study_file.read_text().replace("[1, 2]", "[1]", 1))
    command = [sys.executable, "-m", "histoscale.cli", "study", str(study_file), "--only", "liif"]
    command += ["--recipe", str(recipe), "-o", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = folder / "liif-seed1" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and "psnr" in metrics.read_text()):
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    (member,) = members(read_study(study_file, recipe).only(("liif",)))
    assert member.run.data.on_device
    assert (folder / "liif-seed1" / "state.pt").exists()
    assert not Trainings(folder).finished(member.run)  # refuses a training by another recipe
