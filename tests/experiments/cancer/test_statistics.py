"""Tables from predictions written by hand."""

import math
from pathlib import Path

import pytest

from histoscale.errors import DataError
from histoscale.experiments.cancer.predictions import Prediction, check_single
from histoscale.experiments.cancer.statistics import results_of
from histoscale.experiments.cancer.tables import markdown, overview
from histoscale.experiments.downstream.settings import Setting

N = 20
RIGHT = {"original": 18, "low resolution": 10, "bicubic": 14, "iste": 16}
"""Patches that each setting's classifier gets right."""


def predictions(right: dict[str, int] = RIGHT, seeds: int = 2) -> list[Prediction]:
    """Every second patch is positive; what is wrong is far off. The second seed errs once more."""
    rows = []
    for setting, n in right.items():
        for seed in range(1, seeds + 1):
            for i in range(N):
                is_right, positive = i < n + 1 - seed, i % 2 == 0
                probability = (0.9 if positive else 0.1) if is_right else (0.2 if positive else 0.8)
                about = "tissue", seed, setting, f"p{i}", f"image{i % 5}", f"P{i % 2}"
                rows.append(Prediction(*about, positive, probability))
    return rows


def test_by_hand() -> None:
    (table,) = results_of(predictions(), "iste", 300)
    assert (table.patches, table.positive, table.images, table.patients, table.seeds) == (
        20,
        10,
        5,
        2,
        (1, 2),
    )
    original, low, bicubic, iste = table.rows
    assert original.accuracy.mean == pytest.approx((18 + 17) / 2 / 20)
    assert original.accuracy.sd == pytest.approx(math.sqrt(2) * 0.5 / 20)
    assert iste.recovered.mean == pytest.approx(6 / 8)
    assert bicubic.recovered.mean == pytest.approx(4 / 8)
    assert bicubic.ahead.mean == pytest.approx(2 / 20)
    assert iste.accuracy.low < iste.accuracy.mean < iste.accuracy.high
    assert low.f1.mean == pytest.approx((2 * 5 / (10 + 10) + 2 * 5 / (10 + 11)) / 2)


def test_tests_of_each_seed() -> None:
    (table,) = results_of(predictions(), "iste", 100)
    first = next(test for test in table.tests if (test.setting, test.seed) == ("low resolution", 1))
    assert (first.mcnemar.only_first, first.mcnemar.only_second) == (6, 0)
    assert first.mcnemar.exact == pytest.approx(2 / 2**6)
    assert first.mcnemar_holm == pytest.approx(6 * 2 / 2**6)
    # Two of ten are wrong in each class; a right case still wins over a wrong one: 0.9 > 0.8, 0.2 > 0.1.
    own = next(test for test in table.tests if (test.setting, test.seed) == ("iste", 1))
    assert own.auc == pytest.approx((8 * 10 + 2 * 8) / 100)
    assert first.auc == pytest.approx((5 * 10 + 5 * 5) / 100)
    assert first.delong.difference == pytest.approx(0.96 - 0.75)
    assert first.auc_interval[0] < 0.75 < first.auc_interval[1]


def test_nothing_lost_nothing_recovered() -> None:
    (table,) = results_of(predictions(RIGHT | {"low resolution": 18}), "iste", 100)
    assert all(math.isnan(row.recovered.mean) for row in table.rows)


def test_an_uncertain_loss_has_no_interval() -> None:
    (table,) = results_of(predictions(RIGHT | {"low resolution": 17}), "iste", 300)
    bicubic = table.rows[2].recovered
    assert bicubic.mean == pytest.approx(-3)
    assert math.isnan(bicubic.low)


def test_markdown_names_the_training_images_of_models() -> None:
    settings = [Setting(name, "", "glas train (95 images)" if name == "iste" else "") for name in RIGHT]
    tables = results_of(predictions(), "iste", 100)
    text = markdown(tables, settings)
    assert overview(tables, settings).strip() in text
    line = next(line for line in text.splitlines() if line.startswith("| iste | 77.5 % ± 3.5 ["))
    assert line.endswith("| glas train (95 images) |")
    assert "20 test patches (10 positive) of 5 images of 2 patients" in text
    assert "| bicubic | +10.0 points [" in text
    assert "### tissue: tests of each seed against iste" in text


def test_predictions_that_two_runs_wrote_at_once_are_refused(tmp_path: Path) -> None:
    rows, path = predictions(), tmp_path / "p.csv"
    check_single(rows, path)
    with pytest.raises(DataError, match=r"p\.csv has two predictions for p3 \(tissue, seed 1, original\)"):
        check_single([*rows, rows[3]], path)
