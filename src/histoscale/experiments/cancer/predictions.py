"""The predictions of the classifiers: a CSV line for each task, seed, setting and patch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import DataError
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.results import ResultFolder

STEM, RUN, SETTINGS, TABLES = "predictions", "run.json", "settings.csv", "tables.md"
FREE: dict[str, bool | set[str]] = {
    **dict.fromkeys(("name", "reference", "draws", "models", "device"), True),
    "data": {"root"},
    "classifier": {"threads", "checkpoint_minutes"},
}
"""Keys of the run file that may change between calls: models can be added without training again, ..."""


class Prediction(NamedTuple):
    """One prediction.

    The fields are the columns of ``predictions.csv``.

    Attributes:
        picture: name of the image that the patch was cut from.
        positive: the true class.
        probability: of the positive class, to 7 digits.
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


def check_single(predictions: Sequence[Prediction], where: Path) -> None:
    """Make sure that every patch has one prediction by each classifier in each setting.

    Raises:
        DataError: naming a patch that has two.
    """
    counts = Counter((row.task, row.seed, row.setting, row.patch) for row in predictions)
    if twice := [key for key, n in counts.items() if n > 1]:
        task, seed, setting, patch = twice[0]
        raise DataError(
            f"{where} has two predictions for {patch} ({task}, seed {seed}, {setting}), probably because two "
            "runs wrote there at the same time: delete it and start one run again."
        )
