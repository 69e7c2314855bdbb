"""Tables of results as CSV files: a line a row, a row a dataclass or NamedTuple of words and numbers.

Numbers read back exactly. Rows can be added as they are found, so that a run that is killed loses none.
"""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from histoscale.errors import DataError

Row = TypeVar("Row")


def write_rows(path: Path, row_type: type[Row], rows: Iterable[Row]) -> None:
    """Write a heading, the names of the row's fields, and a line a row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(get_type_hints(row_type))
    append_rows(path, rows)


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add lines to what `write_rows` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        for row in rows:
            values = (getattr(row, name) for name in get_type_hints(type(row)))
            table.writerow(int(value) if isinstance(value, bool) else str(value) for value in values)


def read_rows(path: Path, row_type: type[Row], what: str) -> list[Row]:
    """Read what `write_rows` wrote; a last line cut short by a kill is passed over.

    A field that has a default may lack its column, as in tables from before there was such a field.

    Args:
        what: the rows in words, for the error.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    kinds: dict[str, Any] = get_type_hints(row_type)
    convert = {name: _truth if kind is bool else kind for name, kind in kinds.items()}
    try:
        return [
            row_type(**{name: convert[name](line[name]) for name in convert if name in line})
            for line in whole_lines(path, what)
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"Wanted {what}, got something else in {path}.") from error


def whole_lines(path: Path, what: str) -> Iterator[dict[str, str]]:
    """The lines of a table by column, without a last one that was cut short.

    Args:
        what: the rows in words, for the error.

    Raises:
        DataError: if the file cannot be read.
        ValueError, csv.Error: if it is no table of text; on the way, the second.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"Wanted {what}, but {path} cannot be read ({error.strerror}).") from error
    return csv.DictReader(StringIO(content[: content.rfind("\n") + 1], newline=""))


def _truth(text: str) -> bool:
    return bool(int(text))
