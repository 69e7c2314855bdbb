"""Scores in a CSV file: exact, and read from before a column was added."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from histoscale.errors import DataError
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.results import rows_as_text
from histoscale.experiments.scoring import Score, read_scores


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
    (tmp_path / "scores.csv").write_text(rows_as_text(Score, scores))
    assert read_scores(tmp_path / "scores.csv") == scores


@pytest.mark.parametrize(
    "text", [None, "a,b\n1,2\n", "dataset,prep,image,degradation,scale,model\nx,,y,B,two,m\n"]
)
def test_another_file_is_refused_in_one_sentence(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=r"scores\.csv (is not a table|cannot be read)"):
        read_scores(tmp_path / "scores.csv")


def test_tables_of_before_a_column_was_added_are_read(scores: list[Score], tmp_path: Path) -> None:
    later = [replace(s, weights="abc", through=3) for s in scores]
    (tmp_path / "new.csv").write_text(rows_as_text(Score, later))
    old = [",".join(line.split(",")[:-2]) for line in (tmp_path / "new.csv").read_text().splitlines()]
    (tmp_path / "old.csv").write_text("\n".join(old) + "\n")
    assert read_scores(tmp_path / "old.csv") == scores
    assert {(s.weights, s.through) for s in read_scores(tmp_path / "new.csv")} == {("abc", 3)}
