"""The whole command on small patches: its table, going on, adding a model, and what is refused."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError, OutputError, WeightsError
from histoscale.workflows.cancer import carry_out
from histoscale.workflows.cancer.carry_out import cancer
from histoscale.workflows.cancer.predictions import read_csv
from histoscale.workflows.cancer.run_folder import RunFolder

pytest.importorskip("monai", reason="MONAI is not installed")


def test_two_tasks_on_every_setting(listed: Path, tmp_path: Path) -> None:
    listed.write_text(listed.read_text().replace("steps = 3", "steps = 30"))
    told: list[tuple[str, float]] = []
    found = cancer(listed, tmp_path / "out", progress=lambda *what: told.append(what))
    striped, light = found.tables
    assert [table.task for table in found.tables] == ["striped", "light"]
    assert (striped.patches, light.patches, striped.pictures, striped.patients) == (14, 14, 2, 2)
    assert striped.rows[0].accuracy.mean > 0.9
    assert striped.rows[1].accuracy.mean < striped.rows[0].accuracy.mean
    assert len(read_csv(tmp_path / "out" / "predictions.csv")) == 2 * 2 * 4 * 14
    assert told[-1] == ("testing on fast", 1.0)
    assert ("training light, seed 2", 1.0) in told
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *(f"{task}-seed{seed}" for task in ("striped", "light") for seed in (1, 2)),
        "run.json", "predictions.csv", "settings.csv", "tables.md",
    }  # fmt: skip


def test_the_tables_come_from_the_csv_alone(listed: Path, tmp_path: Path) -> None:
    cancer(listed, tmp_path / "out")
    tables = tmp_path / "out" / "tables.md"
    before = tables.read_text()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("predictions.csv", "settings.csv"):
        (copy / name).write_bytes((tmp_path / "out" / name).read_bytes())
    RunFolder(copy).write_tables("fast", 200)
    assert (copy / "tables.md").read_text() == before
    assert "glas train (95 images)" in before


def test_it_goes_on_where_it_was_stopped(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cancer(listed, tmp_path / "whole")
    real, calls = carry_out.make_images, []

    def stop_at_the_third(setting: str, *rest: object) -> object:
        calls.append(setting)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(setting, *rest)

    monkeypatch.setattr(carry_out, "make_images", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        cancer(listed, tmp_path / "parts")
    assert not (tmp_path / "parts" / "predictions.csv").exists()
    found = cancer(listed, tmp_path / "parts")
    assert calls == ["original", "low resolution", "bicubic", "bicubic", "fast"]
    assert repr(found) == repr(whole)
    ours, theirs = ((tmp_path / name / "predictions.csv").read_text() for name in ("parts", "whole"))
    assert ours == theirs


def test_a_model_is_added_without_training_again(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cancer(listed, tmp_path / "out")
    listed.write_text(listed.read_text() + '[[models]]\nlabel = "another"\nweights = "iste-fast"\n')
    calls = []
    real = carry_out.make_images
    monkeypatch.setattr(carry_out, "make_images", lambda *words: calls.append(words[0]) or real(*words))
    second = cancer(listed, tmp_path / "out")
    assert calls == ["another"]
    assert repr(second.tables[0].rows[:4]) == repr(first.tables[0].rows)
    assert second.tables[0].rows[4].accuracy == second.tables[0].rows[3].accuracy


def test_other_weights_are_asked_again(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancer(listed, tmp_path / "out")
    settings = tmp_path / "out" / "settings.csv"
    digest = settings.read_text().splitlines()[-1].split(",")[1]
    settings.write_text(settings.read_text().replace(digest, "0" * 12))
    calls = []
    real = carry_out.make_images
    monkeypatch.setattr(carry_out, "make_images", lambda *words: calls.append(words[0]) or real(*words))
    cancer(listed, tmp_path / "out")
    assert calls == ["fast"]


def test_another_classifier_wants_another_folder(listed: Path, tmp_path: Path) -> None:
    cancer(listed, tmp_path / "out")
    listed.write_text(listed.read_text().replace("rate = 3e-3", "rate = 1e-3"))
    with pytest.raises(
        OutputError, match="with other data, seeds, scale or classifier: choose another folder"
    ):
        cancer(listed, tmp_path / "out")


@pytest.mark.parametrize(
    ("before", "after", "error", "sentence"),
    [
        ('"iste-fast"', '"liif.safetensors"', WeightsError, r"There are no weights at liif\.safetensors"),
        ("seeds = [1, 2]", "seeds = [1, 2]\nscale = 5", ConfigError, "divides the patches' 32 pixels, got 5"),
    ],
)
def test_mistakes_come_before_the_training(
    before: str, after: str, error: type[Exception], sentence: str, listed: Path, tmp_path: Path
) -> None:
    listed.write_text(listed.read_text().replace(before, after))
    with pytest.raises(error, match=sentence):
        cancer(listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
