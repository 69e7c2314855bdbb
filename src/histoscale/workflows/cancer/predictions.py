"""What the classifiers said: a CSV line a task, seed, setting and patch, from which all tables are made."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError


class Prediction(NamedTuple):
    """One answer; ``positive`` is the truth, ``probability`` what the classifier says of it."""

    task: str
    seed: int
    setting: str
    patch: str
    picture: str
    patient: str
    positive: bool
    probability: float


def write_csv(rows: Iterable[Prediction], path: Path) -> None:
    """Write a heading and all rows; probabilities to seven digits, as float32 holds them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(Prediction._fields)
    append_csv(rows, path)


def append_csv(rows: Iterable[Prediction], path: Path) -> None:
    """Add lines to what `write_csv` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows((*row[:-2], int(row.positive), f"{row.probability:.7g}") for row in rows)


def read_csv(path: Path) -> list[Prediction]:
    """Read what `write_csv` wrote; a last line cut short by a kill is passed over.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    try:
        content = path.read_text(encoding="utf-8")
        whole = content[: content.rfind("\n") + 1].splitlines()
        return [_read_row(row) for row in csv.DictReader(whole)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"Wanted the predictions of a cancer run, got something else in {path}.") from error


def _read_row(row: dict[str, str]) -> Prediction:
    about = {name: row[name] for name in ("task", "setting", "patch", "picture", "patient")}
    positive = bool(int(row["positive"]))
    return Prediction(
        seed=int(row["seed"]), positive=positive, probability=float(row["probability"]), **about
    )
