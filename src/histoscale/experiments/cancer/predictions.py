"""The predictions of the classifiers: a CSV line for each task, seed, setting and patch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.downstream.settings import Setting
from histoscale.experiments.results import ResultFolder, read_rows

STEM, RUN, SETTINGS, TABLES = "predictions", "run.json", "settings.csv", "tables.md"
FREE: dict[str, bool | set[str]] = {
    **dict.fromkeys(("name", "reference", "draws", "models", "device"), True),
    "data": {"root"},
    "classifier": {"threads", "checkpoint_minutes"},
}
"""Keys of the run file that may change between calls: models can be added without training again."""


class Prediction(NamedTuple):
    """One prediction.

    Attributes:
        picture: the image that the patch was cut from.
        positive: the true class.
        probability: of the positive class by the classifier, to 7 digits.
    """

    task: str
    seed: int
    setting: str
    patch: str
    picture: str
    patient: str
    positive: bool
    probability: float


def open_folder(path: Path) -> ResultFolder[Prediction]:
    """Open the folder of a run."""
    return ResultFolder(path, Prediction, STEM, RUN)


def describe_run(run: CancerRun) -> dict[str, object]:
    """Describe what the classifiers and the predictions depend on, apart from the models."""
    return run.model_dump(mode="json", exclude=FREE)


def read_predictions(path: Path) -> list[Prediction]:
    """Read the predictions of a run.

    Raises:
        DataError: if the file is missing or damaged, or has a prediction twice.
    """
    rows = read_rows(path, Prediction)
    counts = Counter((row.task, row.seed, row.setting, row.patch) for row in rows)
    if twice := [key for key, n in counts.items() if n > 1]:
        task, seed, setting, patch = twice[0]
        raise DataError(
            f"{path} has two predictions for {patch} ({task}, seed {seed}, {setting}), probably because two "
            "runs wrote it at the same time: delete it and start one run again."
        )
    return rows


def read_earlier(
    folder: ResultFolder[Prediction], settings: Sequence[Setting], before: Sequence[Setting]
) -> list[Prediction]:
    """Read the predictions of an earlier call, without those on settings whose weights have changed since.

    Args:
        settings, before: of this call and of the earlier one.
    """
    source = folder.partial_file if folder.is_unfinished else folder.rows_file
    if not source.exists():
        return []
    digests = {one.name: one.digest for one in before}
    same = {one.name for one in settings if digests.get(one.name) == one.digest}
    return [row for row in read_predictions(source) if row.setting in same]
