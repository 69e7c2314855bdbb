"""Cells, tests and the best of a column, compared with figures computed by hand."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy import stats

from histoscale.experiments.compare.paper_tables import PRESETS, Preset
from histoscale.experiments.compare.score_tables import PROTOCOLS, ScoreTable, grids_of, make_table, tables_of
from histoscale.experiments.scoring import Score
from histoscale.metrics.paired import holm

Scored = Callable[..., Score]

TWO = Preset("scales", "Two", (2.0, 3.0))
IMAGES = "abcd"
LOW, HIGH = [30.0, 31.5, 29.0, 33.0], [31.0, 32.1, 30.4, 33.3]


@pytest.fixture
def scores(scored: Scored) -> list[Score]:
    """bicubic below iste at x2; at x3 only bicubic and a fixed-scale row that cannot."""
    rows = [scored("bicubic", i, p) for i, p in zip(IMAGES, LOW, strict=True)]
    rows += [scored("iste", i, p) for i, p in zip(IMAGES, HIGH, strict=True)]
    rows += [scored("bicubic", i, 25, scale=3.0) for i in IMAGES]
    rows += [scored("edsr", i, math.nan, scale=scale) for i in IMAGES for scale in (2.0, 3.0)]
    return rows


def table(
    scores: list[Score], preset: Preset = TWO, protocol: int = 0, reference: str = "iste"
) -> ScoreTable:
    return make_table(grids_of(scores)[0], preset, PROTOCOLS[protocol], reference)


def test_cells_by_hand(scores: list[Score]) -> None:
    made = table(scores)
    assert [(c.scale, c.measure.title) for c in made.columns] == [
        (2, "PSNR"),
        (2, "SSIM"),
        (3, "PSNR"),
        (3, "SSIM"),
    ]
    bicubic, iste = made.rows["bicubic"], made.rows["iste"]
    assert (bicubic[0].mean, bicubic[0].sd) == (statistics.fmean(LOW), statistics.stdev(LOW))
    assert iste[1].mean == pytest.approx(statistics.fmean(HIGH) / 100)
    assert [cell.is_best for cell in bicubic] == [False, False, False, False]  # alone at x3: no contest
    assert [cell.is_best for cell in iste] == [True, True, False, False]
    assert [cell.is_empty for cell in iste] == [False, False, True, True]
    assert all(cell.is_empty for cell in made.rows["edsr"])
    assert (made.n, made.reference) == (4, "iste")


def test_the_reference_is_tested_against_the_others(scores: list[Score]) -> None:
    made = table(scores)
    against = made.rows["bicubic"][0].against
    assert against is not None
    expected = stats.ttest_rel(HIGH, LOW)
    assert against.test.p == pytest.approx(expected.pvalue)
    assert against.test.difference == pytest.approx(statistics.fmean(HIGH) - statistics.fmean(LOW))
    assert against.test.low < against.test.difference < against.test.high
    raw = [cell.against.test.p for cell in made.rows["bicubic"] if cell.against]
    corrected = [cell.against.holm for cell in made.rows["bicubic"] if cell.against]
    assert len(raw) == 2
    assert corrected == holm(raw)
    assert all(cell.against is None for cell in made.rows["iste"])


def test_each_protocol_has_its_own_measures(scores: list[Score]) -> None:
    paper, whole = table(scores), table(scores, protocol=1)
    assert whole.rows["iste"][0].mean == pytest.approx(paper.rows["iste"][0].mean + 1)
    assert whole.rows["iste"][1].mean == pytest.approx(statistics.fmean(HIGH) / 110)


def test_seeds_are_averaged_image_by_image_before_the_test(scored: Scored) -> None:
    rows = [scored("bicubic", i, p) for i, p in zip(IMAGES, LOW, strict=True)]
    other = [32.0, 31.1, 31.4, 35.3]
    rows += [scored("iste#1", i, p) for i, p in zip(IMAGES, HIGH, strict=True)]
    rows += [scored("iste#2", i, p) for i, p in zip(IMAGES, other, strict=True)]
    made = table(rows)
    both = [statistics.fmean(pair) for pair in zip(HIGH, other, strict=True)]
    cell, against = made.rows["iste"][0], made.rows["bicubic"][0].against
    assert list(made.rows) == ["bicubic", "iste"]
    assert made.seeds == {"bicubic": 1, "iste": 2}
    assert cell.sd == pytest.approx(statistics.stdev(both))
    assert cell.spread == pytest.approx(statistics.stdev([statistics.fmean(HIGH), statistics.fmean(other)]))
    assert math.isnan(made.rows["bicubic"][0].spread)
    assert against is not None
    assert against.test.n == 4
    assert against.test.p == pytest.approx(stats.ttest_rel(both, LOW).pvalue)


def test_equal_printed_figures_are_best_together(scored: Scored) -> None:
    rows = [scored(model, i, p) for model, p in (("a", 30.001), ("b", 30.002), ("c", 29.9)) for i in IMAGES]
    made = table(rows, reference="c")
    assert [label for label, cells in made.rows.items() if cells[0].is_best] == ["a", "b"]


def test_tables_of_any_scale_leave_out_rows_that_lack_a_scale(scored: Scored) -> None:
    scales = PRESETS["table2"].scales
    rows = [scored(model, i, 30, scale) for model in ("bicubic", "liif") for i in IMAGES for scale in scales]
    rows += [scored("edsr", i, 30, scale, through=4) for i in IMAGES for scale in scales]
    rows += [scored("late", i, 30, 1.5) for i in IMAGES]
    made = table(rows, PRESETS["table2"], reference="liif")
    assert list(made.rows) == ["bicubic", "liif"]
    assert made.left_out == ("edsr", "late")
    assert list(
        table(rows, reference="liif", preset=replace(PRESETS["table2"], any_scale_only=False)).rows
    ) == [
        "bicubic",
        "liif",
        "edsr",
        "late",
    ]


def test_a_table_for_every_group_degradation_and_protocol(scores: list[Score]) -> None:
    frozen = [replace(score, image=f"{score.image}2", prep="frozen") for score in scores]
    plain = [replace(score, degradation="none") for score in scores]
    made = tables_of(grids_of([*scores, *frozen, *plain]), [TWO, PRESETS["table2"]], "iste")
    assert [(t.group, t.n, t.degradation) for t in made[::2]] == [
        ("glas", 8, "B"),
        ("glas", 4, "none"),
        ("glas, FFPE", 4, "B"),
        ("glas, FFPE", 4, "none"),
        ("glas, frozen", 4, "B"),
    ]
    assert {t.preset.name for t in made} == {"scales"}  # nothing was scored at a scale of Table 2
