"""What the classifiers said: a CSV line a task, seed, setting and patch, from which all tables are made."""

from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError
from histoscale.workflows.rows import read_rows


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
    rows = read_rows(path, Prediction, "the predictions of a cancer run")
    seen = set()
    for row in rows:
        asked = (row.task, row.seed, row.setting, row.patch)
        if asked in seen:
            raise DataError(
                f"Wanted every answer once in {path}, got two for {row.patch} ({row.task}, seed {row.seed}, "
                f"{row.setting}): two runs wrote it at once; delete it and run one again."
            )
        seen.add(asked)
    return rows
