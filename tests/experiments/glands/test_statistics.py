"""Figures, tests and recovered shares, compared with figures computed by hand."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from histoscale.experiments.glands.config import UNetSetting, all_settings, kinds_tested
from histoscale.experiments.glands.data import GlandImage
from histoscale.experiments.glands.scores import GlandScore
from histoscale.experiments.glands.statistics import PartScores, compare_settings, parts_of, recovered_shares
from histoscale.experiments.glands.tables import markdown, remarks, tables_of
from histoscale.experiments.tables import latex_document
from histoscale.metrics.objects import Agreement

KINDS = ("original", "lr", "bicubic", "m")
DICE = {"original": 0.9, "lr": 0.3, "bicubic": 0.5, "m": 0.8}
ORIGINALS = UNetSetting("original", "original")


def of(
    setting: UNetSetting, image: str, seed: int, seen: str, sums: Agreement, sizes: tuple[int, ...]
) -> GlandScore:
    record = GlandImage(image, "s", Path("a"), Path("m"), "test", "test", "P")
    return GlandScore.of(record, seed, setting, seen, sums, sizes)


def score(setting: UNetSetting, image: str, seed: int, dice: float, px: int = 100) -> GlandScore:
    """One gland of ``px`` pixels, found with this Dice and a distance of 100 (1 - Dice)."""
    sums = Agreement(1, 0, 0, px, px, px * dice, px * dice, px * 100 * (1 - dice), px * 100 * (1 - dice))
    seen = ("yes" if image == "a" else "no") if setting.tested_on == "m" else ""
    return of(setting, image, seed, seen, sums, (1, 0, 0, int(dice > 0.6), 0, 0))


def part(images: str = "abc", seeds: tuple[int, ...] = (1, 2)) -> PartScores:
    """Dice is that of the worse side; the second seed is a little better, every image a little worse."""
    scores = [
        score(
            s, image, seed, min(DICE[s.trained_on], DICE[s.tested_on]) + 0.02 * seed - 0.01 * n, 100 * (n + 1)
        )
        for s in all_settings(KINDS)
        for seed in seeds
        for n, image in enumerate(images)
    ]
    return parts_of(scores)[0]


def test_settings() -> None:
    assert len(all_settings(KINDS)) == 10
    assert kinds_tested("original", KINDS) == list(KINDS)
    assert kinds_tested("m", KINDS) == ["original", "m"]


def test_pooled_weighs_by_area_and_the_mean_does_not() -> None:
    one_seed = part(seeds=(1,))
    assert one_seed.pooled(ORIGINALS, "dice").mean == pytest.approx(0.92 - (0.01 * 200 + 0.02 * 300) / 600)
    assert one_seed.image_mean(ORIGINALS, "dice").mean == pytest.approx(0.91)
    assert math.isnan(one_seed.image_mean(ORIGINALS, "dice").sd)


def test_the_spread_is_over_seeds() -> None:
    figure = part().image_mean(ORIGINALS, "dice")
    assert figure.mean == pytest.approx(0.92)
    assert figure.sd == pytest.approx(0.02 / math.sqrt(2))


def test_the_two_directions_of_hausdorff() -> None:
    sums = [
        Agreement(1, 0, 0, 50, 100, found_hausdorff=50 * 4.0, true_hausdorff=100 * 10.0),
        Agreement(1, 0, 0, 100, 100, found_hausdorff=100 * 1.0, true_hausdorff=100 * 20.0),
    ]
    scores = tuple(
        of(ORIGINALS, image, 1, "", one, (0, 0, 0, 0, 0, 0)) for image, one in zip("ab", sums, strict=True)
    )
    found = PartScores("test", ("original",), scores).sides(ORIGINALS)
    assert found == pytest.approx((0.75, 2.0, 15.0))
    nothing = of(ORIGINALS, "a", 1, "", Agreement(0, 0, 1, 0, 100, true_hausdorff=900.0), (0,) * 6)
    sides = PartScores("test", ("original",), (nothing,)).sides(ORIGINALS)
    assert sides.area == 0
    assert math.isnan(sides.from_found)


def test_a_part_without_any_gland_has_tables() -> None:
    empty = tuple(of(s, "a", 1, "", Agreement(), (0,) * 6) for s in all_settings(KINDS))
    text = markdown(empty)
    assert "test, 1 image, all seeds together" in text
    assert "area found, of that annotated | none | none" in text
    assert "from found to annotated, px | none | none" in text
    assert "nan" not in text.replace("annotated", "")


def test_recall_and_what_was_seen() -> None:
    found = part()
    assert found.recall(ORIGINALS, "small") == (6, 6)
    assert found.recall(UNetSetting("original", "bicubic"), "small") == (0, 6)
    assert found.recall(ORIGINALS, "large") == (0, 0)
    assert found.seen("m") == 1
    assert remarks(found)[0] == "m: this super-resolution model was trained on 1 of these 3 images."


def test_comparisons_are_better_when_positive_in_every_measure() -> None:
    found = {tuple(pair): one.test for pair, one in compare_settings(part()).items()}
    ours, theirs = UNetSetting("m", "original"), UNetSetting("bicubic", "original")
    assert found[ours, theirs, "dice"].difference == pytest.approx(0.3)
    assert found[ours, theirs, "hausdorff"].difference == pytest.approx(30)
    assert found[UNetSetting("m", "m"), ORIGINALS, "hausdorff"].difference == pytest.approx(-10)


def test_one_image_is_not_tested() -> None:
    assert compare_settings(part(images="a")) == {}


def test_the_recovered_share() -> None:
    found = {(pair.second, pair.measure): share for pair, share in recovered_shares(part()).items()}
    assert found[UNetSetting("original", "bicubic"), "dice"] == pytest.approx(0.75)
    assert found[UNetSetting("lr", "original"), "hausdorff"] == pytest.approx(5 / 6)
    assert math.isnan(found[UNetSetting("original", "bicubic"), "f1"])


@pytest.mark.parametrize("measure", ["dice", "hausdorff"])
def test_nothing_is_recovered_where_nothing_was_lost(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DICE, "bicubic", 0.95)
    monkeypatch.setitem(DICE, "original", 0.8)
    low = UNetSetting("bicubic", "original")
    found = {(pair.second, pair.measure): share for pair, share in recovered_shares(part()).items()}
    assert math.isnan(found[low, measure])


def test_two_parts_have_their_own_tables() -> None:
    one = part()
    both = [*one.scores, *(replace(row, part="testB") for row in one.scores)]
    assert [p.name for p in parts_of(both)] == ["test", "testB"]
    text = markdown(both)
    assert text.count("Table 5, ") == 2


def test_the_tables_print_what_was_found() -> None:
    text, latex = markdown(part().scores), latex_document(tables_of(part()))
    assert "| trained on originals, tested on these | object Dice | 0.917 ± 0.014 |" in text
    assert "| trained on these, tested on originals | small glands | 6 of 6 (100 %) | 0 of 6 (0 %) |" in text
    assert "| originals → m | originals → bicubic | object Dice | 75 % |" in text
    assert "originals $\\rightarrow$ m" in latex
    assert "95 \\%" in latex
