"""Where a judged task lies: scores are written image by image, and none is lost or asked for twice."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import OutputError
from histoscale.experiments.methods import Setting
from histoscale.experiments.results import append_rows, read_rows, write_rows
from histoscale.files import atomic_write, write_text, writing

# What a task said: a line an image, setting and measure in a CSV, from which the tables are made.


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
    return read_rows(path, TaskScore)


SCORES, PARTIAL, SETTINGS, TABLES, ACCOUNT = (
    "scores.csv",
    "scores.partial.csv",
    "settings.csv",
    "tables.md",
    "run.json",
)


class TaskFolder:
    """The folder of a judged task."""

    def __init__(self, path: Path):
        self.path = path

    def begin(
        self, account: Mapping[str, str], settings: Sequence[Setting], overwrite: bool
    ) -> list[TaskScore]:
        """The scores of images that an earlier run of the same ``account`` asked about in every setting.

        Raises:
            OutputError: if it was another run, or the folder cannot be written.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            if overwrite:
                for name in (PARTIAL, SCORES, SETTINGS, TABLES, ACCOUNT):
                    (self.path / name).unlink(missing_ok=True)
            self._refuse_another(account)
            there = [path for name in (PARTIAL, SCORES) if (path := self.path / name).exists()]
            earlier = _whole(read_scores(there[0]), len(settings)) if there else []
            write_text(self.path / ACCOUNT, json.dumps(account, indent=1) + "\n")
            with atomic_write(self.path / SETTINGS) as path:
                write_rows(path, Setting, settings)
            with atomic_write(self.path / PARTIAL) as path:
                write_rows(path, TaskScore, earlier)
            return earlier

    def add(self, rows: Sequence[TaskScore]) -> None:
        """Write down what was said of one image."""
        with self._writing():
            append_rows(self.path / PARTIAL, rows)

    def finish(self, rows: Sequence[TaskScore], text: str) -> None:
        """All scores, in order, and the tables."""
        with self._writing():
            with atomic_write(self.path / SCORES) as path:
                write_rows(path, TaskScore, rows)
            write_text(self.path / TABLES, text)
            (self.path / PARTIAL).unlink(missing_ok=True)

    def _refuse_another(self, account: Mapping[str, str]) -> None:
        held = self.path / ACCOUNT
        if not held.exists():
            return
        try:
            before = json.loads(held.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        for key, value in account.items():
            if before.get(key) != value:
                raise OutputError(
                    f"{self.path} holds a run with {key} {before.get(key)}, not {value}: pass --overwrite to "
                    "begin anew, or choose another folder."
                )

    def _writing(self) -> AbstractContextManager[None]:
        return writing(f"The folder {self.path}")


def _whole(rows: Sequence[TaskScore], settings: int) -> list[TaskScore]:
    """The rows of images that were asked about in every setting: a kill may have come in between."""
    asked: dict[str, set[str]] = {}
    for row in rows:
        asked.setdefault(row.image, set()).add(row.setting)
    return [row for row in rows if len(asked[row.image]) == settings]
