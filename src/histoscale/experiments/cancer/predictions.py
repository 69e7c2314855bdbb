"""What the classifiers said: a CSV line a task, seed, setting and patch, from which all tables are made."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError
from histoscale.experiments.results import read_rows


class Prediction(NamedTuple):
    """One answer; ``positive`` is the truth, ``probability`` what the classifier says of it, to 7 digits."""

    task: str
    seed: int
    setting: str
    patch: str
    picture: str
    patient: str
    positive: bool
    probability: float


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions that a run wrote; a last line cut short by a kill is passed over.

    Raises:
        DataError: if the file is missing, is not such a table or has an answer twice.
    """
    rows = read_rows(path, Prediction)
    answers = Counter((row.task, row.seed, row.setting, row.patch) for row in rows)
    if twice := [answer for answer, n in answers.items() if n > 1]:
        task, seed, setting, patch = twice[0]
        raise DataError(
            f"Wanted every answer once in {path}, got two for {patch} ({task}, seed {seed}, {setting}): two "
            "runs wrote it at once; delete it and run one again."
        )
    return rows
