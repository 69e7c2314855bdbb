"""Summaries and tables against figures worked out by hand; a CSV that gives everything back."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from histoscale.errors import DataError
from histoscale.experiments.results import write_rows
from histoscale.experiments.scores import BICUBIC, Score, paired_test, plain_summaries, read_scores, summarise
from histoscale.experiments.tables import markdown


def score(image: str, model: str, psnr: float, prep: str = "FFPE", scale: float = 2.0) -> Score:
    return Score("monuseg", prep, image, "B", scale, model, psnr + 1, psnr, psnr / 100, psnr / 110)


@pytest.fixture
def scores() -> list[Score]:
    return [
        score("a", BICUBIC, 30.0),
        score("a", "net", 33.0),
        score("b", BICUBIC, 32.0),
        score("b", "net", 34.0),
        score("c", BICUBIC, 40.0, prep="frozen"),
        score("c", "net", 39.5, prep="frozen"),
    ]


def test_csv_gives_back_every_figure_exactly(scores: list[Score], tmp_path: Path) -> None:
    scores.append(replace(scores[0], model="net, the 2nd", psnr_whole=1 / 3, psnr_shaved=math.inf, scale=3.3))
    write_rows(tmp_path / "scores.csv", Score, scores)
    assert read_scores(tmp_path / "scores.csv") == scores


@pytest.mark.parametrize(
    "text", [None, "a,b\n1,2\n", "dataset,prep,image,degradation,scale,model\nx,,y,B,two,m\n"]
)
def test_another_file_is_refused_in_one_sentence(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=r"scores of an evaluation.*scores\.csv"):
        read_scores(tmp_path / "scores.csv")


def test_groups_are_the_whole_set_and_each_preparation(scores: list[Score]) -> None:
    by_group = {(s.group, s.model): s for s in summarise(scores)}
    assert {group for group, _ in by_group} == {"monuseg", "monuseg, FFPE", "monuseg, frozen"}
    assert [by_group[group, "net"].n for group in ("monuseg", "monuseg, FFPE", "monuseg, frozen")] == [
        3,
        2,
        1,
    ]


def test_a_summary_by_hand(scores: list[Score]) -> None:
    net = next(s for s in summarise(scores) if (s.group, s.model) == ("monuseg", "net"))
    mean = (33 + 34 + 39.5) / 3
    assert net.mean[1] == pytest.approx(mean)
    assert net.mean[0] == pytest.approx(mean + 1)
    assert net.sd[1] == pytest.approx(
        math.sqrt(((33 - mean) ** 2 + (34 - mean) ** 2 + (39.5 - mean) ** 2) / 2)
    )
    assert net.gain_whole == pytest.approx((3 + 2 - 0.5) / 3)
    assert net.below == 1
    assert net.psnr_test is not None
    assert net.psnr_test.difference == pytest.approx(1.5)


def test_below_counts_an_image_below_in_the_shaved_protocol_alone(scores: list[Score]) -> None:
    scores[1] = replace(scores[1], psnr_shaved=30.5)
    net = next(s for s in summarise(scores) if (s.group, s.model) == ("monuseg, FFPE", "net"))
    assert net.below == 1


def test_paired_test_matches_images_by_name_not_by_order(scores: list[Score]) -> None:
    there = paired_test(scores, "net", BICUBIC)
    own = [s for s in scores if s.model == "net"]
    mixed = [s for s in scores if s.model == BICUBIC] + own[::-1]
    again = paired_test(mixed, "net", BICUBIC)
    assert there is not None
    assert again is not None
    assert (there.n, there.t) == (3, pytest.approx(again.t))
    assert there.t != pytest.approx(0)
    assert paired_test(scores[:2], "net", BICUBIC) is None


def test_two_infinities_are_no_gain_and_no_pair() -> None:
    scores = [score("a", BICUBIC, math.inf), score("a", "net", math.inf)]
    net = summarise(scores)[1]
    assert (net.gain_whole, net.below, net.psnr_test) == (0.0, 0, None)


def test_markdown_shows_gains_flags_and_what_a_model_cannot_do(scores: list[Score]) -> None:
    scores += [score(i, "fixed", math.nan) for i in "abc"]
    lines = markdown(scores).splitlines()
    assert "| monuseg | 3 | B | net | 35.50 (+1.50)† |" in lines
    assert "| monuseg, FFPE | 2 | B | net | 33.50 (+2.50) |" in lines
    assert "| monuseg, frozen | 1 | B | net | 39.50 (-0.50)† |" in lines
    assert "| monuseg | 3 | B | fixed | - |" in lines
    ffpe = (
        "| x2 | net | 34.50 ± 0.71 | 33.50 ± 0.71 | 0.3350 ± 0.0071 | 0.3045 ± 0.0064 | +2.50 | +2.50 | 0 |"
    )
    assert ffpe in lines
    assert any(line.endswith("| **1 of 3** |") for line in lines)
    assert "| x2 | fixed | - | - | - | - | - | - | 0 |" in lines


def test_columns_are_in_order_of_scale(scores: list[Score]) -> None:
    scores += [replace(s, scale=1.5) for s in scores]
    header = next(line for line in markdown(scores).splitlines() if line.startswith("| images"))
    assert header == "| images | n | degradation | model | x1.5 | x2 |"


def test_what_was_resized_is_marked(scores: list[Score]) -> None:
    scores += [replace(score(i, "edsr", 31.0, prep), through=4) for i, prep in (("a", "FFPE"), ("b", "FFPE"))]
    lines = markdown(scores).splitlines()
    assert "| monuseg, FFPE | 2 | B | edsr | 31.00 (+0.00)†‡ |" in lines
    assert any(line.startswith("| x2 | edsr (x4, bicubic) | 32.00 ± 0.00 |") for line in lines)
    assert "‡ a fixed-scale model's image, taken to size by bicubic." in lines


def test_tables_of_before_a_column_was_added_are_read(scores: list[Score], tmp_path: Path) -> None:
    later = [replace(s, weights="abc", through=3) for s in scores]
    write_rows(tmp_path / "new.csv", Score, later)
    old = [",".join(line.split(",")[:-2]) for line in (tmp_path / "new.csv").read_text().splitlines()]
    (tmp_path / "old.csv").write_text("\n".join(old) + "\n")
    assert read_scores(tmp_path / "old.csv") == scores
    assert {(s.weights, s.through) for s in read_scores(tmp_path / "new.csv")} == {("abc", 3)}


def test_json_holds_no_infinity_and_names_its_figures(scores: list[Score]) -> None:
    scores[1] = replace(scores[1], psnr_whole=math.inf)
    text = json.dumps(plain_summaries(scores), allow_nan=False)
    net = next(s for s in json.loads(text) if (s["group"], s["model"]) == ("monuseg", "net"))
    assert net["mean"]["psnr_whole"] == "inf"
    assert net["sd"]["psnr_whole"] is None
    assert net["mean"]["ssim"] == pytest.approx((0.33 + 0.34 + 0.395) / 3)
    assert net["psnr_test"]["n"] == 2
