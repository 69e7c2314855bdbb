"""The folder of an experiment's results: rows that are written as they are found, settings, and tables.

A run that is stopped keeps its rows in a partial file and can be resumed. A file of rows is a CSV with one
line per row, whose numbers read back exactly; a row is a dataclass or NamedTuple of text and numbers.
"""

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from histoscale.errors import DataError, OutputError
from histoscale.files import lock, refuse_existing, write_text, writing

Row = TypeVar("Row")


class ResultFolder(Generic[Row]):
    """The results of one experiment, finished or to be resumed.

    Whatever writes raises `OutputError` if the folder cannot be written.

    Args:
        path: the folder; it is made when the first file is written.
        row_type: dataclass or NamedTuple of a row.
        stem: name of the file of rows: ``scores`` is ``scores.csv``, or ``scores.partial.csv`` until the run
            has finished.
        settings: name of the JSON file with what the rows depend on.

    Example of a run::

        folder = ResultFolder(output, Score)
        with folder.opened(settings, resume=True) as rows:
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

    @contextmanager
    def opened(
        self,
        settings: Mapping[str, object],
        shared: Collection[str] | None = None,
        *,
        resume: bool,
        overwrite: bool = False,
        others: Sequence[str] = (),
    ) -> Iterator[list[Row]]:
        """Keep other runs out of the folder during a block, and give it the rows that it may resume.

        Args:
            settings: what the rows of this run depend on.
            shared: names of the settings that resumed rows must share; all by default.
            resume, overwrite: whether earlier results may be added to or replaced; without both they are
                refused.
            others: names of files that are results too, beside the rows.

        Raises:
            OutputError: if there are results, they were made with other settings, or another run works here.
            DataError: if the rows cannot be read.
        """
        if not (resume or overwrite):
            results = (self.partial_file, self.rows_file, *(self.path / name for name in others))
            refuse_existing(*results, advice="pass --overwrite to replace it, or --resume to add to it")
        with lock(self.path):
            if resume:
                self._refuse_changes(settings, shared)
            yield self.read() if resume else []

    def _refuse_changes(self, settings: Mapping[str, object], shared: Collection[str] | None) -> None:
        files = (self.partial_file, self.rows_file, self.settings_file)
        if not any(file.exists() for file in files):
            return
        if not self.read_settings():
            raise OutputError(
                f"{self.path} cannot be resumed, because {self.settings_file.name} is missing or damaged: "
                "pass --overwrite to start again, or choose another folder."
            )
        for name, (before, now) in self.changes(settings).items():
            if shared is None or name.partition(".")[0] in shared:
                raise OutputError(
                    f"{self.path} was made with {name} {_shortened(before)}, not {_shortened(now)}: give the "
                    "same to resume it, --overwrite to start again, or another folder."
                )

    def read_settings(self) -> dict[str, Any]:
        """The settings of an earlier run; empty where there are none or they cannot be read."""
        try:
            found = json.loads(self.settings_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def changes(self, settings: Mapping[str, object]) -> dict[str, tuple[Any, Any]]:
        """The settings that differ from those of an earlier run: by name, the value before and now.

        The name of a setting in a table is that of the table, a dot and its own.
        """
        now = json.loads(json.dumps(dict(settings)))  # as they read back: a tuple is a list
        before = {name: value for name, value in self.read_settings().items() if name in now}
        old, new = _flattened(before), _flattened(now)
        return {
            name: (old.get(name), new.get(name))
            for name in dict.fromkeys([*old, *new])
            if old.get(name) != new.get(name)
        }

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
        """Open the partial file with the rows of an earlier run that still hold, and write the settings."""
        # Rows first: a kill in between must not leave rows of other settings under these.
        self.write({self.partial_file.name: rows_as_text(self.row_type, rows)})
        self.write_settings(settings)

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows to the partial file as soon as they are found."""
        with writing(self.partial_file), self.partial_file.open("a", newline="", encoding="utf-8") as file:
            file.write(_as_csv(map(_values, rows)))

    def finish(
        self, rows: Iterable[Row], settings: Mapping[str, object], texts: Mapping[str, str] | None = None
    ) -> None:
        """Write all rows in order, the settings and what is made from them, and delete the partial file.

        Args:
            texts: content of further files, such as tables, by name.
        """
        self.write({self.rows_file.name: rows_as_text(self.row_type, rows), **(texts or {})})
        self.write_settings(settings)
        self.delete(self.partial_file.name)

    def write_settings(self, settings: Mapping[str, object]) -> None:
        """Write the settings alone."""
        self.write({self.settings_file.name: json.dumps(dict(settings), indent=2) + "\n"})

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files by name, each completely or not at all."""
        for name, text in texts.items():
            write_text(self.path / name, text)

    def delete(self, *names: str) -> None:
        """Delete files by name, where they exist."""
        with writing(self.path):
            for name in names:
                (self.path / name).unlink(missing_ok=True)


def rows_as_text(row_type: type[Row], rows: Iterable[Row]) -> str:
    """A file of rows: a heading, the names of the row's fields, and a line per row."""
    return _as_csv([list(get_type_hints(row_type))]) + _as_csv(map(_values, rows))


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a file of rows; a last line that was cut short by a kill is left out.

    A field that has a default may lack its column, as in files from before there was such a field.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    kinds: dict[str, Any] = get_type_hints(row_type)
    convert = {name: _truth if kind is bool else kind for name, kind in kinds.items()}
    try:
        text = path.read_text(encoding="utf-8")
        whole_lines = StringIO(text[: text.rfind("\n") + 1], newline="")
        return [
            row_type(**{name: convert[name](line[name]) for name in convert if name in line})
            for line in csv.DictReader(whole_lines)
        ]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, csv.Error) as error:
        columns = ", ".join([*kinds][:4]) + (", ..." if len(kinds) > 4 else "")
        raise DataError(f"{path} is not a table of results with the columns {columns}.") from error


def _values(row: object) -> list[object]:
    """The fields of a row as a CSV holds them: truth as 0 and 1."""
    values = (getattr(row, name) for name in get_type_hints(type(row)))
    return [int(value) if isinstance(value, bool) else str(value) for value in values]


def _as_csv(lines: Iterable[Sequence[object]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _flattened(settings: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = isinstance(value, dict) and value
        flat |= _flattened(value, f"{table}{name}.") if inner else {f"{table}{name}": value}
    return flat


def _shortened(value: object, length: int = 60) -> str:
    """Write a value for a sentence; a sha256 is too long for one."""
    text = str(value)
    return text if len(text) <= length else f"{text[:length]}..."


def _truth(text: str) -> bool:
    return bool(int(text))
