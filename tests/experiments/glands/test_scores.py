"""Scores read back exactly; sizes of glands, and which images a super-resolution model has seen."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.experiments.downstream.config import NamedWeights
from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands import scores as module
from histoscale.experiments.glands.config import LR, GlandRun, UNetSetting
from histoscale.experiments.glands.data import GlandImage, ImageStore, find_glands
from histoscale.experiments.glands.scores import GlandScore, score_image, segment, was_seen
from histoscale.experiments.glands.segmentation import build_unet
from histoscale.experiments.glands.training import UNetTask
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.results import read_rows, rows_as_text
from histoscale.metrics.objects import Agreement
from histoscale.run_file import read_tables

RECORD = GlandImage("a", "glas", Path("a.png"), Path("m.png"), "test", "test", "P1")
SUMS = Agreement(3, 1, 2, 900, 1000, 850.123456789, 940.0, 4000.5, 1 / 3)


def test_round_trip(tmp_path: Path) -> None:
    score = GlandScore.of(RECORD, 1, UNetSetting("original", "fast"), "no", SUMS, (1, 2, 2, 0, 1, 2))
    (tmp_path / "scores.csv").write_text(rows_as_text(GlandScore, [score]))
    assert read_rows(tmp_path / "scores.csv", GlandScore) == [score]
    assert score.agreement == SUMS
    assert (score.f1, score.dice, score.hausdorff) == (SUMS.f1, SUMS.dice, SUMS.hausdorff)
    assert (score.glands_large, score.detected_small, score.detected_medium) == (2, 0, 1)


def test_glands_are_counted_by_size(run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the drawn glands are found: the first exactly, the second in three pieces."""
    run = read_tables(run_file, GlandRun)
    task, record = UNetTask(run, 1, ORIGINAL, tmp_path), find_glands(run.data)[0]
    true = task.images.labels(record)
    areas = np.bincount(true.ravel())[1:]
    found = np.where(true == 1, 1, 0)
    found[true == 2] = np.arange((true == 2).sum()) * 3 // (true == 2).sum() + 2
    monkeypatch.setattr(module, "segment", lambda *_: found)
    score = score_image(task, build_unet(run.network), record, ORIGINAL)
    sizes = np.bincount(np.digitize(areas, run.objects.sizes_px), minlength=3)
    assert [score.glands_small, score.glands_medium, score.glands_large] == sizes.tolist()
    assert score.detected_small + score.detected_medium + score.detected_large == score.true_positives == 1


@pytest.mark.parametrize(
    ("set_name", "split", "kind", "seen"),
    [
        ("glas", "train", "fast", "yes"),
        ("glas", "test", "fast", "no"),
        ("drawn", "train", "fast", "no"),
        ("glas", "train", BICUBIC, ""),
    ],
)
def test_training_images_of_a_model_are_known(
    run_file: Path, set_name: str, split: str, kind: str, seen: str
) -> None:
    """The weights that ship were trained on GlaS's training images."""
    models = (NamedWeights(label="fast", weights="iste-fast"),)
    run = read_tables(run_file, GlandRun).model_copy(update={"models": models})
    image = GlandImage("a", set_name, Path("a.png"), Path("m.png"), "test", split)
    assert was_seen(run, image, kind) == seen


def test_a_shrunk_unet_has_a_small_input_and_a_full_output(run_file: Path, tmp_path: Path) -> None:
    text = run_file.read_text().replace("residual_units = 1", "residual_units = 1\nshrink = 2")
    run_file.write_text(text.replace("scale = 2", "scale = 4"))
    run = read_tables(run_file, GlandRun)
    network, inputs = build_unet(run.network), list[tuple[int, ...]]()
    network.register_forward_pre_hook(lambda _, batch: inputs.append(tuple(batch[0].shape[2:])))
    record = find_glands(run.data)[0]
    for kind in (ORIGINAL, BICUBIC, LR):
        assert segment(network, ImageStore(run, tmp_path), record, kind).shape == (64, 80)
    assert inputs == [(32, 40), (32, 40), (16, 20)]
