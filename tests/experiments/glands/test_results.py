"""Scores read back exactly; a torn last line is passed over, another file refused."""

from pathlib import Path

import pytest

from histoscale.errors import DataError
from histoscale.experiments.glands.results import GlandScore, append_scores, read_scores, write_scores
from histoscale.metrics.objects import Agreement

SCORE = GlandScore(
    part="test",
    image="a",
    patient="P1",
    seed=1,
    trained_on="original",
    tested_on="fast",
    seen="no",
    agreement=Agreement(3, 1, 2, 900, 1000, 850.123456789, 940.0, 4000.5, 1 / 3),
    glands=(1, 2, 2),
    detected=(0, 1, 2),
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write_scores([SCORE], path)
    append_scores([SCORE], path)
    assert read_scores(path) == [SCORE, SCORE]
    assert (
        path.read_text().splitlines()[0].startswith("part,image,patient,seed,trained_on,tested_on,seen,f1,")
    )


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write_scores([SCORE, SCORE], path)
    path.write_text(path.read_text()[:-7])
    assert read_scores(path) == [SCORE]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", f'split,image\n"{"a" * 200_000}\n'], ids=["other", "endless"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"scores of gland segmentation, got something else in .*other\.csv"):
        read_scores(path)
