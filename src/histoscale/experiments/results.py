"""The folder of an experiment's results: rows that are written as they are found, settings, and tables.

A run that is stopped keeps its rows in a partial file and can be resumed. A file of rows is a CSV with one
line per row, whose numbers read back exactly; a row is a dataclass or NamedTuple of text and numbers.
"""

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

from histoscale.errors import DataError, OutputError
from histoscale.files import lock, write_text, writing

Row = TypeVar("Row")


class Change(NamedTuple):
    """A setting that differs between an earlier run and this one."""

    name: str
    before: object
    now: object


class ResultFolder(Generic[Row]):
    """The results of one experiment, finished or to be resumed.

    Args:
        path: of the folder, which is made when the first file is written.
        row_type: dataclass or NamedTuple of a row.
        stem: name of the file of rows: ``scores`` is ``scores.csv``, or ``scores.partial.csv`` until the run
            has finished.
        settings: name of the JSON file of what the rows depend on.

    Example of a run::

        folder = ResultFolder(output, Score)
        if not (resume or overwrite):
            folder.refuse_existing("tables.md")
        with folder.lock():
            rows = folder.read() if resume else []
            folder.begin(rows, settings)
            for row in work:
                folder.append([row])
            folder.finish(folder.read(), settings, {"tables.md": text})
    """

    def __init__(
        self, path: Path, row_type: type[Row], stem: str = "scores", settings: str = "settings.json"
    ):
        self.path, self.row_type = path, row_type
        self.rows_file = path / f"{stem}.csv"
        self.partial_file = path / f"{stem}.partial.csv"
        self.settings_file = path / settings

    @property
    def is_unfinished(self) -> bool:
        """Whether a stopped run left rows."""
        return self.partial_file.exists()

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows, neither of a finished nor of a stopped run."""
        return not (self.is_unfinished or self.rows_file.exists())

    def lock(self) -> AbstractContextManager[None]:
        """Keep other runs out of the folder during a block.

        Raises:
            OutputError: if another run works there, or the folder cannot be made.
        """
        return lock(self.path)

    def refuse_existing(self, *others: str) -> None:
        """Refuse to start a new run where there are results.

        Args:
            others: names of files that are results too, beside the rows.

        Raises:
            OutputError: naming the first file that exists.
        """
        for path in (self.partial_file, self.rows_file, *(self.path / name for name in others)):
            if path.exists():
                raise OutputError(
                    f"{path} exists already: pass --overwrite to replace it, or --resume to add to it."
                )

    def delete(self, *names: str) -> None:
        """Delete files by name, where they exist.

        Raises:
            OutputError: if one cannot be deleted.
        """
        with writing(self.path):
            for name in names:
                (self.path / name).unlink(missing_ok=True)

    def clear(self, *others: str) -> None:
        """Delete the rows and settings of an earlier run, and other files by name.

        Raises:
            OutputError: if one cannot be deleted.
        """
        self.delete(self.partial_file.name, self.rows_file.name, self.settings_file.name, *others)

    def read_settings(self) -> dict[str, Any]:
        """The settings of an earlier run; empty where there are none or they cannot be read."""
        try:
            found = json.loads(self.settings_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def changes(self, settings: Mapping[str, object], names: Collection[str] | None = None) -> list[Change]:
        """The settings that an earlier run had otherwise.

        Args:
            settings: of this run.
            names: of those that matter; all of ``settings`` by default.
        """
        before = self.read_settings()
        now = json.loads(json.dumps(dict(settings)))  # as they read back: a tuple is a list
        return [
            Change(name, before.get(name), now[name])
            for name in (settings if names is None else names)
            if before.get(name) != now[name]
        ]

    def refuse_changes(self, settings: Mapping[str, object], names: Collection[str] | None = None) -> None:
        """Refuse to resume rows that were made with other settings.

        Args:
            settings, names: as in `changes`.

        Raises:
            OutputError: naming the first setting that differs.
        """
        if self.is_empty and not self.settings_file.exists():
            return
        if not self.read_settings():
            raise OutputError(
                f"{self.path} cannot be resumed: {self.settings_file.name} is missing or damaged. Give "
                "--overwrite to start again, or another folder."
            )
        for change in self.changes(settings, names):
            raise OutputError(
                f"{self.path} was made with {change.name} {change.before}, not {change.now}: give the same "
                "to resume it, --overwrite to start again, or another folder."
            )

    def read(self) -> list[Row]:
        """The rows of a stopped run, or else of a finished one; none where there was no run.

        Raises:
            DataError: if they cannot be read.
        """
        for path in (self.partial_file, self.rows_file):
            if path.exists():
                return read_rows(path, self.row_type)
        return []

    def begin(self, rows: Iterable[Row], settings: Mapping[str, object]) -> None:
        """Open the partial file with the rows of an earlier run that still hold, and write the settings.

        Raises:
            OutputError: if the folder cannot be written.
        """
        # Rows first: a kill in between must not leave rows of other settings under these.
        self.write({self.partial_file.name: rows_as_text(self.row_type, rows)})
        self.write_settings(settings)

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows to the partial file as soon as they are found.

        Raises:
            OutputError: if it cannot be written.
        """
        with writing(self.partial_file):
            append_rows(self.partial_file, rows)

    def finish(
        self, rows: Iterable[Row], settings: Mapping[str, object], texts: Mapping[str, str] | None = None
    ) -> None:
        """Write all rows in order, the settings and what is made from them; the partial file goes.

        Args:
            texts: content of further files, such as tables, by name.

        Raises:
            OutputError: if the folder cannot be written.
        """
        self.write({self.rows_file.name: rows_as_text(self.row_type, rows), **(texts or {})})
        self.write_settings(settings)
        self.delete(self.partial_file.name)

    def write_settings(self, settings: Mapping[str, object]) -> None:
        """Write the settings alone.

        Raises:
            OutputError: if the folder cannot be written.
        """
        self.write({self.settings_file.name: json.dumps(dict(settings), indent=2) + "\n"})

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files by name, each whole or not at all.

        Raises:
            OutputError: if the folder cannot be written.
        """
        for name, text in texts.items():
            write_text(self.path / name, text)


def rows_as_text(row_type: type[Row], rows: Iterable[Row]) -> str:
    """A file of rows: a heading, the names of the row's fields, and a line per row."""
    return _as_csv([list(get_type_hints(row_type))]) + _as_csv(map(_values, rows))


def write_rows(path: Path, row_type: type[Row], rows: Iterable[Row]) -> None:
    """Write a file of rows, whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    write_text(path, rows_as_text(row_type, rows))


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add lines to what `write_rows` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(_as_csv(map(_values, rows)))


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a file of rows; a last line that was cut short by a kill is left out.

    A field that has a default may lack its column, as in files from before there was such a field.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    kinds: dict[str, Any] = get_type_hints(row_type)
    convert = {name: _truth if kind is bool else kind for name, kind in kinds.items()}
    try:
        return [
            row_type(**{name: convert[name](line[name]) for name in convert if name in line})
            for line in whole_lines(path)
        ]
    except (ValueError, TypeError, csv.Error) as error:
        columns = ", ".join(kinds)
        raise DataError(f"{path} is not a table of results with the columns {columns}.") from error


def whole_lines(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a CSV by column, without a last one that was cut short.

    Raises:
        DataError: if the file cannot be read.
        ValueError, csv.Error: if it is no table of text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    return csv.DictReader(StringIO(text[: text.rfind("\n") + 1], newline=""))


def _values(row: object) -> list[object]:
    """The fields of a row as a CSV holds them: truth as 0 and 1."""
    values = (getattr(row, name) for name in get_type_hints(type(row)))
    return [int(value) if isinstance(value, bool) else str(value) for value in values]


def _as_csv(lines: Iterable[Sequence[object]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _truth(text: str) -> bool:
    return bool(int(text))
