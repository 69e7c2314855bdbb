"""What a task said: a line an image, setting and measure in a CSV, from which the tables are made."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError


class TaskScore(NamedTuple):
    """One figure of one image in one setting."""

    image: str
    setting: str
    measure: str
    score: float


def write_csv(rows: Iterable[TaskScore], path: Path) -> None:
    """Write a heading and all rows; floats read back exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(TaskScore._fields)
    append_csv(rows, path)


def append_csv(rows: Iterable[TaskScore], path: Path) -> None:
    """Add lines to what `write_csv` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_csv(path: Path) -> list[TaskScore]:
    """Read what `write_csv` wrote; a last line cut short by a kill is passed over.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    try:
        content = path.read_text(encoding="utf-8")
        whole = csv.DictReader(content[: content.rfind("\n") + 1].splitlines())
        return [TaskScore(r["image"], r["setting"], r["measure"], float(r["score"])) for r in whole]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"Wanted the scores of a judged task, got something else in {path}.") from error
