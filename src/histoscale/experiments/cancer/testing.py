"""Test classifiers on the patches in every setting, block by block, and keep what an earlier call did."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import nn

from histoscale.errors import ConfigError
from histoscale.experiments.cancer.classifier import classify
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.cancer.data import Indices, Patches
from histoscale.experiments.cancer.predictions import SETTINGS, Prediction, describe_run
from histoscale.experiments.downstream.settings import Setting, SettingImages, read_settings
from histoscale.experiments.images import make_pair
from histoscale.experiments.parallel import OnProgress
from histoscale.experiments.results import ResultFolder, rows_as_text

TESTED_AT_ONCE = 128


class Classifier(NamedTuple):
    """A classifier is trained for one task, from one seed."""

    task: str
    seed: int


def low_side(side_px: int, scale: int) -> int:
    """Side of the low-resolution patches.

    Raises:
        ConfigError: if the scale does not divide the side.
    """
    if side_px % scale:
        raise ConfigError(f"The scale has to divide the patches' side of {side_px} pixels; {scale} does not.")
    return side_px // scale


@dataclass(frozen=True)
class Testing:
    """What is tested.

    Attributes:
        scale: of the low-resolution patches.
        images: makes the images of every setting.
    """

    patches: Patches
    scale: int
    networks: Mapping[Classifier, nn.Module]
    settings: Sequence[Setting]
    images: SettingImages

    def blocks(self) -> list[Indices]:
        """Divide the patches that have a class in any task into blocks that are tested together."""
        labelled = np.unique(np.concatenate([classes.indices for classes in self.patches.tasks.values()]))
        return [labelled[i : i + TESTED_AT_ONCE] for i in range(0, len(labelled), TESTED_AT_ONCE)]

    def predict(self, setting: str, block: Indices, done: set[tuple[str, int, str, str]]) -> list[Prediction]:
        """Predict the patches of a block that have no prediction yet in a setting.

        Args:
            done: task, seed, setting and patch of the predictions that exist.
        """
        missing = {key: self._missing(key, setting, block, done) for key in self.networks}
        if not any(missing.values()):
            return []
        patches, device, precision = self.patches, self.images.device, self.images.precision
        originals = patches.read(block)
        low = np.stack([make_pair(patch, self.scale, "none")[0] for patch in originals])
        # The images are made once for all classifiers: upscaling takes longer than classifying.
        images = self.images.make(setting, low, originals)
        place = {int(index): i for i, index in enumerate(block)}
        rows = []
        for key, truth in missing.items():
            if truth:
                pixels = images[[place[index] for index in truth]]
                found = classify(self.networks[key], pixels, device, precision).tolist()
                for (index, positive), probability in zip(truth.items(), found, strict=True):
                    about = patches.names[index], patches.images[index], patches.patients[index]
                    rounded = float(f"{probability:.7g}")  # all that a float32 holds
                    rows.append(Prediction(key.task, key.seed, setting, *about, positive, rounded))
        return rows

    def _missing(
        self, key: Classifier, setting: str, block: Indices, done: set[tuple[str, int, str, str]]
    ) -> dict[int, bool]:
        """The true classes of those patches of a block that a classifier has no prediction for, by index."""
        classes = self.patches.tasks[key.task]
        inside = np.isin(classes.indices, block)
        return {
            int(index): bool(positive)
            for index, positive in zip(classes.indices[inside], classes.positive[inside], strict=True)
            if (*key, setting, self.patches.names[index]) not in done
        }


def predict_all(
    run: CancerRun,
    folder: ResultFolder[Prediction],
    earlier: Sequence[Prediction],
    testing: Testing,
    progress: OnProgress,
) -> None:
    """Test every classifier in every setting.

    Args:
        earlier: predictions of an earlier call; those of models with other weights are made again.
    """
    settings_file = folder.path / SETTINGS
    before = {one.name: one.digest for one in read_settings(settings_file)} if settings_file.exists() else {}
    same = {one.name for one in testing.settings if before.get(one.name) == one.digest}
    rows = [row for row in earlier if row.setting in same]
    done = {(row.task, row.seed, row.setting, row.patch) for row in rows}
    folder.begin(rows, describe_run(run))
    folder.write({SETTINGS: rows_as_text(Setting, testing.settings)})
    steps = list(itertools.product(testing.settings, testing.blocks()))
    for number, (setting, block) in enumerate(steps, start=1):
        new = testing.predict(setting.name, block, done)
        folder.append(new)
        rows += new
        progress(number / len(steps), f"testing on {setting.name}")
    folder.finish(rows, describe_run(run))
