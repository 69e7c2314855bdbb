"""Where a cancer run lies: classifiers, predictions as they come, tables. What is done is not done again."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from histoscale.errors import DataError, OutputError
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.cancer.predictions import Prediction, read_predictions
from histoscale.experiments.cancer.report import markdown
from histoscale.experiments.cancer.statistics import TaskTable, tables_of
from histoscale.experiments.methods import Setting, read_settings
from histoscale.experiments.results import append_rows, write_rows
from histoscale.files import atomic_write, write_text, writing

PREDICTIONS, PARTIAL, SETTINGS, TABLES = (
    "predictions.csv",
    "predictions.partial.csv",
    "settings.csv",
    "tables.md",
)
RUN = "run.json"
FREE: dict[str, bool | set[str]] = {
    **dict.fromkeys(("name", "reference", "draws", "models"), True),
    "data": {"root"},
    "classifier": {"threads", "checkpoint_minutes"},
}
"""What may change between calls: models are added, tables made anew; classifiers stay."""


class RunFolder:
    """The folder of a cancer run."""

    def __init__(self, path: Path):
        self.path = path

    def begin(self, run: CancerRun) -> None:
        """Make the folder, or make sure that it is of the same classifiers.

        Raises:
            OutputError: if it holds classifiers of another run file or cannot be written.
        """
        content = run.model_dump_json(exclude=FREE)
        held = self.path / RUN
        with self.writing():
            if not held.exists():
                self.path.mkdir(parents=True, exist_ok=True)
                write_text(self.path / RUN, json.dumps(json.loads(content), indent=1) + "\n")
            elif json.loads(held.read_text(encoding="utf-8")) != json.loads(content):
                raise OutputError(
                    f"{self.path} holds a run with other data, seeds, scale or classifier: choose another "
                    "folder."
                )

    def training(self, task: str, seed: int) -> Path:
        """Folder of one classifier's training."""
        return self.path / f"{task}-seed{seed}"

    def earlier(self, settings: Sequence[Setting]) -> list[Prediction]:
        """Predictions of an earlier call on settings that still are what they were.

        Raises:
            DataError: if they cannot be read.
        """
        source = next((p for p in (self.path / PARTIAL, self.path / PREDICTIONS) if p.exists()), None)
        if source is None:
            return []
        before = {one.name: one.digest for one in read_settings(self.path / SETTINGS)}
        same = {one.name for one in settings if before.get(one.name) == one.digest}
        return [row for row in read_predictions(source) if row.setting in same]

    def start_predictions(self, rows: Sequence[Prediction], settings: Sequence[Setting]) -> None:
        """Write down what there is so far, to be added to."""
        with self.writing():
            # Rows first: rows of other weights must not outlive the note of what they were of.
            with atomic_write(self.path / PARTIAL) as path:
                write_rows(path, Prediction, rows)
            with atomic_write(self.path / SETTINGS) as path:
                write_rows(path, Setting, settings)

    def add(self, rows: Sequence[Prediction]) -> None:
        """Write predictions down as soon as they are made."""
        with self.writing():
            append_rows(self.path / PARTIAL, rows)

    def finish(self) -> None:
        """Nothing is unfinished any more."""
        with self.writing():
            (self.path / PARTIAL).replace(self.path / PREDICTIONS)

    def write_tables(self, reference: str, draws: int) -> tuple[list[TaskTable], list[Setting]]:
        """Make the tables from predictions and settings as they are on disk, and nothing else.

        Raises:
            DataError: if these are missing or damaged, or there is no such setting to test against.
        """
        predictions, settings = read_predictions(self.path / PREDICTIONS), read_settings(self.path / SETTINGS)
        place = {setting.name: i for i, setting in enumerate(settings)}
        predictions.sort(key=lambda row: place[row.setting])
        if reference not in place:
            raise DataError(f"{self.path / SETTINGS} has no setting {reference} to test the others against.")
        tables = tables_of(predictions, reference, draws)
        with self.writing():
            write_text(self.path / TABLES, markdown(tables, settings))
        return tables, settings

    def writing(self) -> AbstractContextManager[None]:
        """What goes wrong with the disk, in a sentence."""
        return writing(f"The run's folder {self.path}")
