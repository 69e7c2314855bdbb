"""``histoscale cancer RUN.toml``: train the classifiers, test them in every setting, make the tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from histoscale.errors import DataError
from histoscale.experiments.cancer.config import CancerRun
from histoscale.experiments.cancer.data import Patches, open_patches
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
from histoscale.experiments.cancer.testing import Classifier, Testing, low_side, predict_all
from histoscale.experiments.cancer.training import Training
from histoscale.experiments.downstream.config import with_compute
from histoscale.experiments.downstream.settings import (
    Setting,
    SettingImages,
    describe_settings,
    load_models,
    read_settings,
)
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import read_rows
from histoscale.files import writing
from histoscale.resources import AUTOMATIC, Compute, Precision
from histoscale.run_file import read_tables


class Found(NamedTuple):
    """What a run found: the figures of each task, and the settings."""

    results: list[TaskResult]
    settings: list[Setting]


def cancer(
    run_file: Path,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    compute: Compute = AUTOMATIC,
    progress: OnProgress = ignore_progress,
) -> Found:
    """Train classifiers as a run file describes, test them in every setting, and make the tables.

    A second call resumes a run that was stopped.

    Args:
        run_file: TOML, see `histoscale.experiments.cancer.config.CancerRun`.
        output: folder for the classifiers, predictions, settings and tables.
        overrides: ``KEY=VALUE`` each, overriding keys of the file.
        compute: device, precision and threads override those of the run file where they are given.

    Raises:
        HistoscaleError: if the run file, the data, the weights or the folder are wrong.
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
        predict_all(run, folder, earlier, testing, progress)
        return cancer_again(run_file, folder.rows_file, output, overrides=overrides)


def cancer_again(run_file: Path, predictions: Path, output: Path, *, overrides: Sequence[str] = ()) -> Found:
    """Make the tables again from predictions and the ``settings.csv`` beside them, without images.

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


def train_all(
    run: CancerRun,
    output: Path,
    patches: Mapping[str, Patches],
    device: torch.device,
    precision: Precision,
    progress: OnProgress = ignore_progress,
) -> dict[Classifier, nn.Module]:
    """Train the classifier of each task and seed, or read it if it is trained already."""
    keys = [Classifier(task, seed) for task in patches["test"].tasks for seed in run.seeds]
    networks: dict[Classifier, nn.Module] = {}
    for number, key in enumerate(keys):
        folder = output / f"{key.task}-seed{key.seed}"
        sides = patches["train"], patches["val"]
        training = Training(run.classifier, key.task, key.seed, *sides, folder, device, precision)

        def report(step: int, key: Classifier = key, number: int = number) -> None:
            share = (number + step / run.classifier.steps) / len(keys)
            progress(share, f"training {key.task}, seed {key.seed}")

        with writing(f"The folder {folder}"):
            networks[key] = training.run(report)
    return networks
