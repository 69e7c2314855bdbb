"""The whole command on drawn glands: results, tables from the scores alone, and resuming."""

import math
import os
import shutil
import signal
from collections.abc import Callable
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

RESULTS = {"scores.csv", "card.md", "card.json", "fig11.png", "curves.png", TABLES}


QUIET = ("training.checkpoint_minutes=9", "training.validate_every=60")
"""Settings of a run that nobody stops."""


class Carried(NamedTuple):
    """A run that was carried out."""

    run_file: Path
    folder: Path
    found: list[GlandScore]
    stages: list[tuple[str, float]]

    def copied_to(self, folder: Path) -> "Carried":
        """The same for a test that changes what is in the folder, its run file included."""
        shutil.copytree(self.folder, folder / "out")
        return self._replace(run_file=Path(shutil.copy(self.run_file, folder)), folder=folder / "out")

    def again(self, *overrides: str) -> list[GlandScore]:
        """What a second call finds, and in ``stages`` what it does."""
        self.stages.clear()
        return glands(
            self.run_file,
            self.folder,
            overrides=(*QUIET, *overrides),
            progress=lambda share, what: self.stages.append((what, share)),
        )


@pytest.fixture(scope="module")
def carried(run_in: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Carried:
    run_file = run_in(tmp_path_factory.mktemp("glands"))
    first = Carried(run_file, run_file.parent / "out", [], [])
    return first._replace(found=first.again())


def test_the_whole_command(carried: Carried, tmp_path: Path) -> None:
    folder, found = carried.folder, carried.found
    assert {path.name for path in folder.iterdir() if path.is_file()} == {*RESULTS, "scored-by.json"}
    assert len(found) == 2 * 10
    (part,) = parts_of(found)
    original = UNetSetting("original", "original")
    assert part.pooled(original, "f1").mean > 0.8
    assert part.pooled(original, "dice").mean > 0.8
    assert part.pooled(original, "dice").mean > part.pooled(UNetSetting("lr", "original"), "dice").mean
    assert list(dict.fromkeys(what for what, share in carried.stages if share == 1)) == [
        "upscaling",
        "training",
        "testing",
    ]
    card = (folder / "card.md").read_text()
    assert "fast: weights iste-fast" in card
    assert "it saw 0 of 2 that the U-Nets learned from and 0 of 2 that they are tested on" in card
    again = tmp_path / "again"
    assert glands_again(folder / "scores.csv", again) == found
    assert (again / TABLES).read_text() == (folder / TABLES).read_text()


def test_shrunk_images_are_scored_at_full_resolution(run_file: Path, tmp_path: Path) -> None:
    text = run_file.read_text().replace("residual_units = 1", "residual_units = 1\nshrink = 2")
    run_file.write_text(text.replace("boundary_px = 3", "boundary_px = 2"))
    (part,) = parts_of(glands(run_file, tmp_path, overrides=[*QUIET, "models=[]"]))
    original = UNetSetting("original", "original")
    assert part.pooled(original, "dice").mean > 0.7
    assert part.pooled(original, "hausdorff").mean < 20
    assert "2 times smaller, each pixel the mean of 2 x 2" in (tmp_path / "card.md").read_text()


def test_a_second_call_only_does_what_is_new(carried: Carried, tmp_path: Path) -> None:
    own = carried.copied_to(tmp_path)
    networks = {path: path.stat().st_mtime_ns for path in own.folder.rglob("network.safetensors")}
    assert len(networks) == 4
    assert own.again() == own.found
    assert own.stages == []
    emptied = own.again("objects.smallest_px=100000")
    assert sum(score.found_px for score in emptied) == 0
    assert all(score.hausdorff == pytest.approx(math.hypot(64, 82)) for score in emptied)
    assert "Nothing was found in 20 of 20 scored images" in (own.folder / "tables.md").read_text()
    assert networks == {path: path.stat().st_mtime_ns for path in own.folder.rglob("network.safetensors")}
    with pytest.raises(OutputError, match="trained with other settings"):
        own.again("training.rate=1e-3")


def test_scores_of_a_stopped_test_are_kept(carried: Carried, tmp_path: Path) -> None:
    own = carried.copied_to(tmp_path)
    lines = (own.folder / "scores.csv").read_text().splitlines(keepends=True)
    (own.folder / "scores.csv").unlink()
    (own.folder / "scores.partial.csv").write_text("".join(lines[:10]) + lines[10][:20])  # the first's 8
    assert own.again() == own.found
    assert [share for what, share in own.stages if what == "testing"] == [0.5, 0.75, 1.0]
    assert read_rows(own.folder / "scores.csv", GlandScore) == own.found
    assert not (own.folder / "scores.partial.csv").exists()


def test_the_official_split_has_two_parts(run_file: Path, tmp_path: Path) -> None:
    overrides = [*QUIET, "training.steps=1", "data.split=official", "models=[]"]
    found = glands(run_file, tmp_path / "out", overrides=overrides)
    assert [part.name for part in parts_of(found)] == ["testA", "testB"]
    assert "Leak: 1 of 3 test images" in (tmp_path / "out" / "card.md").read_text()


def test_a_terminated_run_saves_what_its_workers_train(run_file: Path, tmp_path: Path) -> None:
    trainings = tmp_path / "out" / "trainings"
    for kind in ("lr", "bicubic"):
        (trainings / f"{kind}-seed1").mkdir(parents=True)
        (trainings / f"{kind}-seed1" / "network.safetensors").touch()
    begun = trainings / "original-seed1"

    def terminate(*_: object) -> None:
        if (begun / "metrics.jsonl").exists() and "loss" in (begun / "metrics.jsonl").read_text():
            os.kill(os.getpid(), signal.SIGTERM)

    overrides = [*QUIET, "training.steps=100000", "models=[]"]
    with pytest.raises(KeyboardInterrupt):
        glands(
            run_file, tmp_path / "out", overrides=overrides, compute=Compute(workers=2), progress=terminate
        )
    assert read_state(begun / "state.pt")["step"] >= 10
    assert not (begun / "network.safetensors").exists()
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_a_locked_folder_is_refused(run_file: Path, tmp_path: Path) -> None:
    with (
        lock(tmp_path / "out"),
        pytest.raises(OutputError, match=r"Another run .*out"),
    ):
        glands(run_file, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
