"""The whole command on drawn glands: results, tables from the scores alone, and resuming."""

import math
import os
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from histoscale.errors import OutputError
from histoscale.experiments.glands.config import UNetSetting
from histoscale.experiments.glands.experiment import TABLES, glands, glands_again
from histoscale.experiments.glands.scores import GlandScore
from histoscale.experiments.glands.statistics import parts_of
from histoscale.experiments.results import read_rows
from histoscale.files import lock
from histoscale.resources import Compute
from histoscale.training.checkpoint import read_state
from tests.experiments.glands.conftest import write_run

RESULTS = {"scores.csv", "scored-by.json", "card.md", "card.json", "fig11.png", "curves.png", TABLES}


class Finished(NamedTuple):
    """A finished run: its run file, its folder, its scores and the stages that it reported."""

    run_file: Path
    folder: Path
    scores: list[GlandScore]
    stages: list[tuple[float, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """To be copied, not changed."""
    pytest.importorskip("monai", reason="MONAI is not installed")
    folder = tmp_path_factory.mktemp("glands")
    run_file, stages = write_run(folder), list[tuple[float, str]]()
    scores = glands(run_file, folder / "out", progress=lambda *told: stages.append(told))
    return Finished(run_file, folder / "out", scores, stages)


@pytest.fixture
def again(finished: Finished, tmp_path: Path) -> Finished:
    """A copy that may be changed."""
    shutil.copytree(finished.folder, tmp_path / "out")
    shutil.copy(finished.run_file, tmp_path / "small.toml")
    return finished._replace(run_file=tmp_path / "small.toml", folder=tmp_path / "out")


def test_the_whole_command(finished: Finished, tmp_path: Path) -> None:
    folder = finished.folder
    assert {path.name for path in folder.iterdir() if path.is_file()} == RESULTS
    assert len(finished.scores) == 2 * 10
    (part,) = parts_of(finished.scores)
    original = UNetSetting("original", "original")
    assert part.pooled(original, "f1").mean > 0.8
    assert part.pooled(original, "dice").mean > 0.8
    assert part.pooled(original, "dice").mean > part.pooled(UNetSetting("lr", "original"), "dice").mean
    done = dict.fromkeys(stage for share, stage in finished.stages if share == 1)
    assert list(done) == ["upscaling", "training", "testing"]
    card = (folder / "card.md").read_text()
    assert "fast: weights iste-fast" in card
    assert "include 0 of 2 training images of the U-Nets, and 0 of 2 test images" in card
    assert glands_again(folder / "scores.csv", tmp_path) == finished.scores
    assert (tmp_path / TABLES).read_text() == (folder / TABLES).read_text()


def test_a_second_call_only_does_what_is_new(again: Finished) -> None:
    run_file, folder, before, _ = again
    networks = {path: path.stat().st_mtime_ns for path in folder.rglob("network.safetensors")}
    assert len(networks) == 4
    told: list[tuple[float, str]] = []
    assert glands(run_file, folder, progress=lambda *what: told.append(what)) == before
    assert told == []
    emptied = glands(run_file, folder, overrides=["objects.smallest_px=100000"])
    assert sum(score.found_px for score in emptied) == 0
    assert all(score.hausdorff == pytest.approx(math.hypot(64, 82)) for score in emptied)
    assert "Nothing was found in 20 of 20 scored images" in (folder / TABLES).read_text()
    assert networks == {path: path.stat().st_mtime_ns for path in folder.rglob("network.safetensors")}
    with pytest.raises(OutputError, match="trained with other settings"):
        glands(run_file, folder, overrides=["training.rate=1e-3"])


def test_scores_of_a_stopped_test_are_kept(again: Finished) -> None:
    run_file, folder, whole, _ = again
    lines = (folder / "scores.csv").read_text().splitlines(keepends=True)
    (folder / "scores.csv").unlink()
    (folder / "scores.partial.csv").write_text("".join(lines[:10]) + lines[10][:20])  # the first network's 8
    told: list[tuple[float, str]] = []
    assert glands(run_file, folder, progress=lambda *what: told.append(what)) == whole
    assert told == [(0.5, "testing"), (0.75, "testing"), (1.0, "testing")]
    assert read_rows(folder / "scores.csv", GlandScore) == whole
    assert not (folder / "scores.partial.csv").exists()


def test_a_terminated_run_saves_what_its_workers_train(run_file: Path, tmp_path: Path) -> None:
    trainings = tmp_path / "out" / "trainings"
    for kind in ("lr", "bicubic"):
        (trainings / f"{kind}-seed1").mkdir(parents=True)
        (trainings / f"{kind}-seed1" / "network.safetensors").touch()
    begun = trainings / "original-seed1"

    def terminate(*_: object) -> None:
        if (begun / "metrics.jsonl").exists() and "loss" in (begun / "metrics.jsonl").read_text():
            os.kill(os.getpid(), signal.SIGTERM)

    overrides, compute = ["training.steps=100000", "models=[]"], Compute(workers=2)
    with pytest.raises(KeyboardInterrupt):
        glands(run_file, tmp_path / "out", overrides=overrides, compute=compute, progress=terminate)
    assert read_state(begun / "state.pt")["step"] >= 10
    assert not (begun / "network.safetensors").exists()
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_a_locked_folder_is_refused(run_file: Path, tmp_path: Path) -> None:
    with lock(tmp_path / "out"), pytest.raises(OutputError, match=r"Another run .*out"):
        glands(run_file, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
