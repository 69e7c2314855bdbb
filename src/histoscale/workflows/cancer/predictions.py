"""What the classifiers said: a CSV line a task, seed, setting and patch, from which all tables are made."""

from pathlib import Path
from typing import NamedTuple

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
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Prediction, "the predictions of a cancer run")
