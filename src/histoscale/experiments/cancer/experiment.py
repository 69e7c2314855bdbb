"""``histoscale cancer RUN.toml``: train the classifiers, test them in every setting, make the tables."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from histoscale.errors import ConfigError, DataError
from histoscale.experiments.cancer.classifier import classify
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.cancer.data import Indices, Patches, open_patches
from histoscale.experiments.cancer.predictions import (
    SETTINGS,
    TABLES,
    Prediction,
    check_single,
    describe_run,
    open_folder,
)
from histoscale.experiments.cancer.statistics import TaskResult, results_of
from histoscale.experiments.cancer.tables import markdown
from histoscale.experiments.cancer.training import Training
from histoscale.experiments.downstream.config import with_compute
from histoscale.experiments.downstream.settings import (
    Setting,
    SettingImages,
    describe_settings,
    load_models,
    read_settings,
)
from histoscale.experiments.images import make_pair
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import ResultFolder, read_rows, rows_as_text
from histoscale.files import writing
from histoscale.resources import AUTOMATIC, Compute, Precision
from histoscale.run_file import read_tables

TESTED_AT_ONCE = 128


class Found(NamedTuple):
    """The figures of a run by task, and its settings."""

    results: list[TaskResult]
    settings: list[Setting]


class Key(NamedTuple):
    """One classifier."""

    task: str
    seed: int


def cancer(
    run_file: Path,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    compute: Compute = AUTOMATIC,
    progress: OnProgress = ignore_progress,
) -> Found:
    """Carry out a run file; a second call resumes where the first was stopped.

    Args:
        run_file: TOML, see `histoscale.experiments.cancer.config.CancerRun`.
        output: folder of the run: a folder for each classifier, predictions, settings and tables.
        overrides: ``KEY=VALUE`` each, overriding the file's keys.
        compute: precision and threads replace those of the run file where they are given.

    Raises:
        ConfigError, DataError, WeightsError, OutputError, HistoscaleError: one sentence each.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when everything finished is written.
    """
    run = with_compute(read_tables(run_file, CancerRun, overrides), compute)
    device, precision = Compute(run.device, run.precision).resolve()
    if threads := compute.threads or run.classifier.threads:
        torch.set_num_threads(threads)
    patches = open_patches(run.data.expanded())
    test = patches["test"]
    settings = describe_settings(run.sources)
    low_px = low_side(test.side_px, run.scale)
    models = load_models(run.sources, (low_px, low_px), (test.side_px, test.side_px), device)
    folder = open_folder(output)
    with folder.opened(describe_run(run), resume=True) as earlier:
        check_single(earlier, output)
        folder.write_settings(describe_run(run))
        networks = train_all(run, output, patches, device, precision, progress)
        testing = Testing(test, run.scale, networks, settings, SettingImages(models, device, precision))
        test_networks(run, folder, earlier, testing, progress)
        return cancer_again(run_file, folder.rows_file, output, overrides=overrides)


def cancer_again(run_file: Path, predictions: Path, output: Path, *, overrides: Sequence[str] = ()) -> Found:
    """Make the tables again from predictions and the ``settings.csv`` beside them: no images, no classifier.

    Raises:
        ConfigError: if the run file is wrong.
        DataError: if a file is missing or damaged, or the reference is not among the settings.
        OutputError: if the tables cannot be written.
    """
    run = read_tables(run_file, CancerRun, overrides)
    rows, settings = read_rows(predictions, Prediction), read_settings(predictions.with_name(SETTINGS))
    check_single(rows, predictions)
    order = {setting.name: i for i, setting in enumerate(settings)}
    if run.tested_against not in order:
        raise DataError(
            f"{predictions.with_name(SETTINGS)} has no setting {run.tested_against}, the reference of "
            f"{run_file}: choose another reference there."
        )
    rows.sort(key=lambda row: order[row.setting])
    results = results_of(rows, run.tested_against, run.draws)
    open_folder(output).write({TABLES: markdown(results, settings)})
    return Found(results, settings)


def low_side(side_px: int, scale: int) -> int:
    """Side of the low-resolution patches.

    Raises:
        ConfigError: if the scale does not divide the side.
    """
    if side_px % scale:
        raise ConfigError(f"The scale has to divide the patches' side of {side_px} pixels; {scale} does not.")
    return side_px // scale


def train_all(
    run: CancerRun,
    output: Path,
    patches: Mapping[str, Patches],
    device: torch.device,
    precision: Precision,
    progress: OnProgress = ignore_progress,
) -> dict[Key, nn.Module]:
    """Train the classifier of every task and seed, or read it where it is trained already."""
    keys = [Key(*key) for key in itertools.product(patches["test"].tasks, run.seeds)]
    networks: dict[Key, nn.Module] = {}
    for number, key in enumerate(keys):
        folder = output / f"{key.task}-seed{key.seed}"
        sides = patches["train"], patches["val"]
        training = Training(run.classifier, key.task, key.seed, *sides, folder, device, precision)

        def report(step: int, key: Key = key, number: int = number) -> None:
            share = (number + step / run.classifier.steps) / len(keys)
            progress(share, f"training {key.task}, seed {key.seed}")

        with writing(f"The folder {folder}"):
            networks[key] = training.run(report)
    return networks


@dataclass(frozen=True)
class Testing:
    """The patches of a test, the classifiers, and what makes the images of every setting."""

    patches: Patches
    scale: int
    networks: Mapping[Key, nn.Module]
    settings: Sequence[Setting]
    images: SettingImages

    def blocks(self) -> list[Indices]:
        """Divide the patches that have a class in some task into blocks that are tested together."""
        labelled = np.unique(np.concatenate([classes.indices for classes in self.patches.tasks.values()]))
        return [labelled[i : i + TESTED_AT_ONCE] for i in range(0, len(labelled), TESTED_AT_ONCE)]

    def predict(self, setting: str, block: Indices, done: set[tuple[str, int, str, str]]) -> list[Prediction]:
        """Predict what is missing of one block in one setting; its images are made once, if needed."""
        missing = {key: self._missing(key, setting, block, done) for key in self.networks}
        if not any(missing.values()):
            return []
        patches, device, precision = self.patches, self.images.device, self.images.precision
        originals = patches.read(block)
        low = np.stack([make_pair(patch, self.scale, "none")[0] for patch in originals])
        images = self.images.make(setting, low, originals)
        place = {int(index): i for i, index in enumerate(block)}
        rows = []
        for key, truth in missing.items():
            if truth:
                pixels = images[[place[index] for index in truth]]
                found = classify(self.networks[key], pixels, device, precision).tolist()
                for (index, positive), probability in zip(truth.items(), found, strict=True):
                    about = patches.names[index], patches.pictures[index], patches.patients[index]
                    rounded = float(f"{probability:.7g}")  # all that float32 holds
                    rows.append(Prediction(key.task, key.seed, setting, *about, positive, rounded))
        return rows

    def _missing(
        self, key: Key, setting: str, block: Indices, done: set[tuple[str, int, str, str]]
    ) -> dict[int, bool]:
        """The patches of a block that one classifier has no prediction for, and the true class of each."""
        classes = self.patches.tasks[key.task]
        inside = np.isin(classes.indices, block)
        return {
            int(index): bool(positive)
            for index, positive in zip(classes.indices[inside], classes.positive[inside], strict=True)
            if (*key, setting, self.patches.names[index]) not in done
        }


def test_networks(
    run: CancerRun,
    folder: ResultFolder[Prediction],
    earlier: Sequence[Prediction],
    testing: Testing,
    progress: OnProgress,
) -> None:
    """Test every classifier in every setting; predictions of an earlier call are kept, if still valid."""
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
