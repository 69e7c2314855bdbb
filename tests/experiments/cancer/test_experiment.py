"""The whole command on small patches: tables, resuming, adding a model, and errors."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.errors import ConfigError, DataError, OutputError, WeightsError
from histoscale.experiments.cancer.experiment import cancer, cancer_again
from histoscale.experiments.cancer.predictions import Prediction
from histoscale.experiments.downstream.settings import SettingImages
from histoscale.experiments.results import read_rows

pytest.importorskip("monai", reason="MONAI is not installed")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The settings whose images are made, as they are; the third of a first run is stopped by Ctrl-C."""
    real, calls = SettingImages.make, list[str]()

    def watched(images: SettingImages, setting: str, *rest: np.ndarray) -> np.ndarray:
        calls.append(setting)
        if calls == ["original", "low resolution", "bicubic"]:
            raise KeyboardInterrupt
        return real(images, setting, *rest)

    monkeypatch.setattr(SettingImages, "make", watched)
    return calls


def test_two_tasks_on_every_setting(finished: Path) -> None:
    found = cancer(finished / "small.toml", finished / "out")
    striped, light = found.results
    assert [table.task for table in found.results] == ["striped", "light"]
    assert (striped.patches, light.patches, striped.images, striped.patients) == (14, 14, 2, 2)
    assert [row.setting for row in striped.rows] == ["original", "low resolution", "bicubic", "fast"]
    assert len(read_rows(finished / "out" / "predictions.csv", Prediction)) == 2 * 2 * 4 * 14
    trained = {f"{task}-seed{seed}" for task in ("striped", "light") for seed in (1, 2)}
    files = {"run.json", "predictions.csv", "settings.csv", "tables.md"}
    assert {path.name for path in (finished / "out").iterdir()} == trained | files


def test_the_tables_come_from_the_csv_alone(finished: Path, tmp_path: Path) -> None:
    run_file, predictions = finished / "small.toml", finished / "out" / "predictions.csv"
    tables, settings = cancer_again(run_file, predictions, tmp_path)
    assert [setting.name for setting in settings] == [row.setting for row in tables[0].rows]
    written = (finished / "out" / "tables.md").read_text()
    assert (tmp_path / "tables.md").read_text() == written
    assert "glas train (95 images)" in written
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        cancer_again(run_file, tmp_path / "none.csv", tmp_path)


def test_tables_need_no_images_but_training_names_what_is_missing(listed: Path, finished: Path) -> None:
    listed.write_text(listed.read_text().replace('root = "', 'root = "$NOT_SET_ANYWHERE'))
    assert cancer_again(listed, finished / "out" / "predictions.csv", listed.parent / "again").results
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        cancer(listed, listed.parent / "out")
    assert not (listed.parent / "out").exists()


def test_it_resumes_where_it_was_stopped(finished: Path, again: Path, made: list[str]) -> None:
    (again.parent / "out" / "predictions.csv").unlink()
    with pytest.raises(KeyboardInterrupt):
        cancer(again, again.parent / "out")
    assert not (again.parent / "out" / "predictions.csv").exists()
    told: list[tuple[float, str]] = []
    cancer(again, again.parent / "out", progress=lambda *what: told.append(what))
    assert made == ["original", "low resolution", "bicubic", "bicubic", "fast"]
    assert told[-1] == (1.0, "testing on fast")
    for name in ("predictions.csv", "tables.md"):
        ours, theirs = ((folder / "out" / name).read_text() for folder in (again.parent, finished))
        assert ours == theirs


def test_a_model_is_added_without_training_again(again: Path, made: list[str]) -> None:
    first = cancer(again, again.parent / "out")
    again.write_text(again.read_text() + '[[models]]\nlabel = "another"\nweights = "iste-fast"\n')
    second = cancer(again, again.parent / "out")
    assert made == ["another"]
    assert repr(second.results[0].rows[:4]) == repr(first.results[0].rows)
    assert second.results[0].rows[4].accuracy == second.results[0].rows[3].accuracy


def test_other_weights_are_tested_again(again: Path, made: list[str]) -> None:
    settings = again.parent / "out" / "settings.csv"
    digest = settings.read_text().splitlines()[-1].split(",")[1]
    settings.write_text(settings.read_text().replace(digest, "0" * 12))
    cancer(again, again.parent / "out")
    assert made == ["fast"]


def test_another_classifier_needs_another_folder(again: Path) -> None:
    again.write_text(again.read_text().replace("rate = 3e-3", "rate = 1e-3"))
    (again.parent / "out" / "predictions.csv").unlink()  # as after a kill before the first prediction
    with pytest.raises(OutputError, match=r"classifier\.rate 0\.003, not 0\.001"):
        cancer(again, again.parent / "out")


@pytest.mark.parametrize(
    ("before", "after", "error", "sentence"),
    [
        ('"iste-fast"', '"liif.safetensors"', WeightsError, r"liif\.safetensors"),
        ("seeds = [1, 2]", "seeds = [1, 2]\nscale = 5", ConfigError, "32 pixels; 5"),
    ],
)
def test_mistakes_come_before_the_training(
    before: str, after: str, error: type[Exception], sentence: str, listed: Path, tmp_path: Path
) -> None:
    listed.write_text(listed.read_text().replace(before, after))
    with pytest.raises(error, match=sentence):
        cancer(listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
