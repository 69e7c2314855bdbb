"""What a task said: a line an image, setting and measure in a CSV, from which the tables are made."""

from pathlib import Path
from typing import NamedTuple

from histoscale.workflows.rows import read_rows


class TaskScore(NamedTuple):
    """One figure of one image in one setting."""

    image: str
    setting: str
    measure: str
    score: float


def read_scores(path: Path) -> list[TaskScore]:
    """The scores that a task was given; a last line cut short by a kill is passed over.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, TaskScore, "the scores of a judged task")
