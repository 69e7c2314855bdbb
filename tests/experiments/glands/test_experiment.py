"""The whole command on drawn glands: results, tables from the scores alone, and resuming."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.experiments.glands.config import UNetSetting
from histoscale.experiments.glands.experiment import TABLES, glands, glands_again
from histoscale.experiments.glands.scores import GlandScore
from histoscale.experiments.glands.statistics import parts_of
from histoscale.experiments.results import read_rows
from histoscale.files import lock

RESULTS = {"scores.csv", "card.md", "card.json", "fig11.png", "curves.png", TABLES}


def test_the_whole_command(run_file: Path, tmp_path: Path) -> None:
    folder, stages = tmp_path / "out", list[tuple[str, float]]()
    found = glands(run_file, folder, progress=lambda share, what: stages.append((what, share)))
    assert {path.name for path in folder.iterdir() if path.is_file()} == {*RESULTS, "scored-by.json"}
    assert len(found) == 2 * 10
    (part,) = parts_of(found)
    original = UNetSetting("original", "original")
    assert part.pooled(original, "f1").mean > 0.8
    assert part.pooled(original, "dice").mean > 0.8
    assert part.pooled(original, "dice").mean > part.pooled(UNetSetting("lr", "original"), "dice").mean
    assert list(dict.fromkeys(what for what, share in stages if share == 1)) == [
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
    (part,) = parts_of(glands(run_file, tmp_path))
    original = UNetSetting("original", "original")
    assert part.pooled(original, "dice").mean > 0.7
    assert part.pooled(original, "hausdorff").mean < 20
    assert "2 times smaller, each pixel the mean of 2 x 2" in (tmp_path / "card.md").read_text()


def test_a_second_call_only_does_what_is_new(run_file: Path, tmp_path: Path) -> None:
    text = run_file.read_text().replace("steps = 60", "steps = 2")
    run_file.write_text(text)
    folder = tmp_path / "out"
    before = glands(run_file, folder)
    networks = {path: path.stat().st_mtime_ns for path in folder.rglob("network.safetensors")}
    assert len(networks) == 4
    scored: list[tuple[str, float]] = []
    assert glands(run_file, folder, progress=lambda share, what: scored.append((what, share))) == before
    assert scored == []
    run_file.write_text(text.replace("smallest_px = 30", "smallest_px = 100000"))
    emptied = glands(run_file, folder)
    assert sum(score.found_px for score in emptied) == 0
    assert all(score.hausdorff == pytest.approx(math.hypot(64, 82)) for score in emptied)
    assert "Nothing was found in 20 of 20 scored images" in (folder / "tables.md").read_text()
    assert networks == {path: path.stat().st_mtime_ns for path in folder.rglob("network.safetensors")}
    run_file.write_text(text.replace("rate = 1e-2", "rate = 1e-3"))
    with pytest.raises(OutputError, match="trained with other settings"):
        glands(run_file, folder)


def test_the_official_split_has_two_parts(run_file: Path, tmp_path: Path) -> None:
    text = (
        run_file.read_text()
        .replace("steps = 60", "steps = 1")
        .replace("[data]", '[data]\nsplit = "official"')
    )
    run_file.write_text(text)
    folder = tmp_path / "out"
    found = glands(run_file, folder)
    assert [part.name for part in parts_of(found)] == ["testA", "testB"]
    assert "Leak: 1 of 3 test images" in (folder / "card.md").read_text()


def test_a_terminated_run_can_be_resumed(run_file: Path, tmp_path: Path) -> None:
    text = run_file.read_text().replace("steps = 60", "steps = 100000")
    run_file.write_text(text[: text.index("[[models]]")] + text[text.index("[network]") :])
    folder = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "histoscale.cli",
        "glands",
        str(run_file),
        "-o",
        str(folder),
        "--workers",
        "2",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    states = list[Path]()
    while process.poll() is None and not states:
        states = list(folder.rglob("state.pt"))
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not (folder / "scores.csv").exists()
    assert not list(folder.rglob("network.safetensors"))


def test_a_locked_folder_is_refused(run_file: Path, tmp_path: Path) -> None:
    with (
        lock(tmp_path / "out"),
        pytest.raises(OutputError, match=r"Another run .*out"),
    ):
        glands(run_file, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))


def test_scores_of_a_stopped_test_are_kept(run_file: Path, tmp_path: Path) -> None:
    run_file.write_text(run_file.read_text().replace("steps = 60", "steps = 1"))
    folder = tmp_path / "out"
    whole = glands(run_file, folder)
    lines = (folder / "scores.csv").read_text().splitlines(keepends=True)
    (folder / "scores.csv").unlink()
    (folder / "scores.partial.csv").write_text("".join(lines[:10]) + lines[10][:20])  # the first network's 8
    stages: list[tuple[str, float]] = []
    assert glands(run_file, folder, progress=lambda share, what: stages.append((what, share))) == whole
    assert [share for what, share in stages if what == "testing"] == [0.5, 0.75, 1.0]
    assert read_rows(folder / "scores.csv", GlandScore) == whole
    assert not (folder / "scores.partial.csv").exists()
