"""Rows in CSV files are exact and can be appended; an incomplete last row is skipped."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from histoscale.errors import DataError, OutputError
from histoscale.experiments.results import ResultFolder, read_rows, rows_as_text


class Tuple(NamedTuple):
    name: str
    is_good: bool
    figure: float
    n: int = 7


@dataclass(frozen=True)
class Record:
    name: str
    is_good: bool
    figure: float
    n: int = 7


ROWS = [("plain", True, 1 / 3, 1), ('a "b", c\nd', False, math.inf, -2), ("", True, 1e-300, 0)]


@pytest.mark.parametrize("kind", [Tuple, Record])
def test_rows_read_back_exactly(kind: type, tmp_path: Path) -> None:
    rows, folder = [kind(*row) for row in ROWS], ResultFolder(tmp_path, kind)
    folder.begin(rows[:1], {})
    folder.append(rows[1:])
    assert folder.read() == rows
    assert folder.partial_file.read_text().splitlines()[:2] == [
        "name,is_good,figure,n",
        "plain,1,0.3333333333333333,1",
    ]


def test_no_rows_are_a_heading(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows_as_text(Tuple, []))
    assert read_rows(tmp_path / "rows.csv", Tuple) == []


def test_an_incomplete_line_is_skipped(tmp_path: Path) -> None:
    rows, path = [Tuple("a", True, 0.25), Tuple("b", False, 12.5)], tmp_path / "rows.csv"
    path.write_text(rows_as_text(Tuple, rows)[:-3])
    assert read_rows(path, Tuple) == rows[:1]


def test_a_column_with_a_default_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("name,is_good,figure,gone\na,0,2.5,x\n")
    assert read_rows(tmp_path / "old.csv", Record) == [Record("a", False, 2.5)]


@pytest.mark.parametrize(
    "text",
    [
        "name,figure\na,1\n",
        "name,is_good,figure\na,1,two\n",
        "name,is_good,figure\na,yes,2\n",
        pytest.param(f'name,is_good,figure\n"{"a" * 200_000}\n', id="a quotation mark that never closes"),
    ],
)
def test_something_else_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=r"x\.csv is not a table .* name, is_good, figure, n\.$"):
        read_rows(tmp_path / "x.csv", Tuple)


def test_a_missing_file_is_not_called_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.csv cannot be read: No such file"):
        read_rows(tmp_path / "x.csv", Tuple)


# A folder of results: what a stopped run leaves, and what may be resumed.


SETTINGS: dict[str, object] = {"data": "here", "scales": (2, 3)}


def test_rows_of_a_stopped_run_come_back_and_a_finished_one_keeps_no_partial_file(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "out", Tuple)
    with folder.opened(SETTINGS, resume=True) as rows:
        assert rows == []
        folder.begin([Tuple(*ROWS[0])], SETTINGS)
        folder.append([Tuple(*ROWS[1])])
        with pytest.raises(OutputError, match="Another run"), folder.opened(SETTINGS, resume=True):
            pass
    with folder.opened(SETTINGS, resume=True) as rows:
        assert rows == [Tuple(*row) for row in ROWS[:2]]
        folder.finish([Tuple(*row) for row in ROWS], SETTINGS, {"tables.md": "| a |"})
    assert {path.name for path in folder.path.iterdir()} == {"scores.csv", "settings.json", "tables.md"}
    with folder.opened(SETTINGS, resume=False, overwrite=True) as rows:
        assert rows == []
    assert folder.read() == [Tuple(*row) for row in ROWS]


@pytest.mark.parametrize("name", ["scores.csv", "scores.partial.csv", "tables.md"])
def test_results_are_neither_replaced_nor_resumed_unasked(name: str, tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path, Tuple)
    folder.write({name: "mine"})
    with (
        pytest.raises(OutputError, match=rf"{name} exists already: .*--overwrite.*--resume"),
        folder.opened(SETTINGS, resume=False, others=("tables.md",)),
    ):
        pass


def resume(folder: ResultFolder[Tuple], settings: dict[str, object], shared: list[str] | None = None) -> None:
    with folder.opened(settings, shared, resume=True):
        pass


def test_other_settings_are_not_resumed(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path, Tuple)
    resume(folder, SETTINGS)  # nothing to resume
    folder.begin([], SETTINGS)
    resume(folder, SETTINGS)
    resume(folder, SETTINGS | {"scales": (4,)}, ["data"])
    with pytest.raises(OutputError, match=r"was made with scales \[2, 3\], not \[4\]"):
        resume(folder, SETTINGS | {"scales": (4,)})
    folder.write_settings({"data": {"root": "here", "limit": None}})
    resume(folder, {"data": {"root": "here", "limit": None}})
    with pytest.raises(OutputError, match=r"was made with data\.limit None, not 3"):
        resume(folder, {"data": {"root": "here", "limit": 3}}, ["data"])
    with pytest.raises(OutputError, match=r"was made with data\.root here, not "):
        resume(folder, {"data": "there"})
    for damaged in ("{", "[]"):
        (tmp_path / "settings.json").write_text(damaged)
        with pytest.raises(OutputError, match=r"settings\.json is missing or damaged"):
            resume(folder, SETTINGS)
