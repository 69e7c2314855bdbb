"""What was found on each test image in each setting: a line in a CSV file, from which all tables are made."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from histoscale.errors import DataError
from histoscale.experiments.glands.config import Setting
from histoscale.experiments.results import whole_lines
from histoscale.metrics.objects import Agreement

Size: TypeAlias = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = get_args(Size)
Measure: TypeAlias = Literal["f1", "dice", "hausdorff"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class GlandScore:
    """One test image in one setting, of one seed.

    Attributes:
        part: of the test.
        seen: whether the model that made the tested image was trained on its original: "yes", "no", or empty
            where no model made it.
        agreement: found and true glands; where one side has none, the Hausdorff distance of the others
            is the image's diagonal.
        glands, detected: how many there are of each of `SIZES`, and how many of them were found.
    """

    part: str
    image: str
    patient: str
    seed: int
    trained_on: str
    tested_on: str
    seen: str
    agreement: Agreement
    glands: tuple[int, int, int]
    detected: tuple[int, int, int]

    @property
    def setting(self) -> Setting:
        """What was trained on what and tested on what."""
        return Setting(self.trained_on, self.tested_on)


ABOUT = tuple(f.name for f in fields(GlandScore) if f.name not in ("agreement", "glands", "detected"))
COLUMNS = (
    *ABOUT,
    *MEASURES,
    *(f.name for f in fields(Agreement)),
    *(f"{word}_{size}" for word in ("glands", "detected") for size in SIZES),
)
"""The measures of the image alone are for people who read the file; they follow from the columns after."""


def write_scores(scores: Iterable[GlandScore], path: Path) -> None:
    """Write one line an image, setting and seed; numbers read back exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(COLUMNS)
    append_scores(scores, path)


def append_scores(scores: Iterable[GlandScore], path: Path) -> None:
    """Add lines to what `write_scores` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([str(value) for value in _line(score)] for score in scores)


def read_scores(path: Path) -> list[GlandScore]:
    """Read what `write_scores` wrote; a last line cut short by a kill is passed over.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    what = "the scores of gland segmentation"
    try:
        return [_score(row) for row in whole_lines(path)]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"Wanted {what}, got something else in {path}.") from error


def _line(score: GlandScore) -> list[Any]:
    return [
        *(getattr(score, name) for name in ABOUT),
        *(getattr(score.agreement, measure) for measure in MEASURES),
        *asdict(score.agreement).values(),
        *score.glands,
        *score.detected,
    ]


def _score(row: Mapping[str, str]) -> GlandScore:
    agreement: dict[str, Any] = {f.name: _number(row[f.name]) for f in fields(Agreement)}
    values: dict[str, Any] = {name: row[name] for name in ABOUT} | {"seed": int(row["seed"])}
    small, medium, large = (int(row[f"glands_{size}"]) for size in SIZES)
    few, some, many = (int(row[f"detected_{size}"]) for size in SIZES)
    values |= {"glands": (small, medium, large), "detected": (few, some, many)}
    return GlandScore(**values, agreement=Agreement(**agreement))


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
