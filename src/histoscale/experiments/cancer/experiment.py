"""``histoscale cancer RUN.toml``: train the classifiers, test them on every setting, make the table."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from histoscale.experiments.cancer.classifier import classify
from histoscale.experiments.cancer.config import CancerRun, PatchTable, read_run
from histoscale.experiments.cancer.data import Indices, Patches, open_list, open_pcam
from histoscale.experiments.cancer.predictions import Prediction
from histoscale.experiments.cancer.results import RunFolder
from histoscale.experiments.cancer.statistics import TaskTable
from histoscale.experiments.cancer.training import Training
from histoscale.experiments.images import low_side, make_images
from histoscale.experiments.methods import Setting, describe_settings, load_models
from histoscale.files import lock
from histoscale.inference import Precision
from histoscale.models.base import SuperResolver
from histoscale.resources import find_device, find_precision

TESTED_AT_ONCE = 128
Progress = Callable[[str, float], None]
"""Told what is being done and which share of that is."""


class Found(NamedTuple):
    """The tables of a run, and what its settings are."""

    tables: list[TaskTable]
    settings: list[Setting]


class Key(NamedTuple):
    """One classifier."""

    task: str
    seed: int


def cancer(
    run_file: Path,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Progress | None = None,
) -> Found:
    """Carry out a run file; a second call goes on where the first was stopped.

    Args:
        run_file: TOML, see `histoscale.experiments.cancer.config.CancerRun`.
        folder: of the run: a folder for each classifier, predictions, settings and tables.
        overrides: ``KEY=VALUE`` each, overriding the file's keys.

    Raises:
        ConfigError, DataError, WeightsError, OutputError, HistoscaleError: one sentence each.
        KeyboardInterrupt: after Ctrl-C or a polite kill, when what is done is written.
    """
    run = read_run(run_file, overrides)
    place = find_device(device)
    precision = find_precision(run.precision, place)
    if run.classifier.threads:
        torch.set_num_threads(run.classifier.threads)
    patches = open_patches(run.data.there())
    tested = patches["test"]
    settings = describe_settings(run.sources)
    low = low_side(tested.side_px, run.scale)
    models = load_models(run.sources, (low, low), (tested.side_px, tested.side_px), place)
    held = RunFolder(folder)
    held.begin(run)
    with lock(folder):
        networks = train_all(run, held, patches, place, precision, progress)
        ask_all(run, held, tested, Asked(networks, models, settings, place, precision), progress)
        return Found(*held.write_tables(run.tested_against, run.draws))


def tabulate(run_file: Path, folder: Path, *, overrides: Sequence[str] = ()) -> Found:
    """Make the tables again from the predictions and settings in ``folder``: no data, no classifier.

    Raises:
        ConfigError, DataError, OutputError: one sentence each.
    """
    run = read_run(run_file, overrides)
    return Found(*RunFolder(folder).write_tables(run.tested_against, run.draws))


def open_patches(table: PatchTable) -> dict[str, Patches]:
    """The patches of a run, by split.

    Raises:
        DataError, HistoscaleError: as `open_list` and `open_pcam`.
    """
    return open_list(table) if table.pcam is None else open_pcam(table.root / table.pcam)


def train_all(
    run: CancerRun,
    held: RunFolder,
    patches: Mapping[str, Patches],
    device: torch.device,
    precision: Precision,
    progress: Progress | None = None,
) -> dict[Key, nn.Module]:
    """The classifier of every task and seed; those that are trained already are read."""
    keys = [Key(*key) for key in itertools.product(patches["test"].tasks, run.seeds)]
    networks: dict[Key, nn.Module] = {}
    for number, key in enumerate(keys):
        training = Training(
            run.classifier, key.task, key.seed, patches["train"], patches["val"],
            held.training(*key), device, precision,
        )  # fmt: skip

        def report(step: int, key: Key = key, number: int = number) -> None:
            if progress is not None:
                share = (number + step / run.classifier.steps) / len(keys)
                progress(f"training {key.task}, seed {key.seed}", share)

        with held.writing():
            networks[key] = training.run(report)
    return networks


class Asked(NamedTuple):
    """Who is tested: classifiers, and the models that make their images."""

    networks: Mapping[Key, nn.Module]
    models: Mapping[str, SuperResolver]
    settings: Sequence[Setting]
    device: torch.device
    precision: Precision


def ask_all(
    run: CancerRun, held: RunFolder, patches: Patches, who: Asked, progress: Progress | None = None
) -> None:
    """Every classifier's answers to every setting; each image is made once, and no answer twice."""
    earlier = held.earlier(who.settings)
    done = {(row.task, row.seed, row.setting, row.patch) for row in earlier}
    held.start_predictions(earlier, who.settings)
    blocks = list(_blocks(patches))
    for number, (setting, block) in enumerate(itertools.product(who.settings, blocks)):
        rows = _answers(run, patches, who, setting.name, block, done)
        held.add(rows)
        if progress is not None:
            progress(f"testing on {setting.name}", (number + 1) / (len(who.settings) * len(blocks)))
    held.finish()


def _blocks(patches: Patches) -> Iterator[Indices]:
    """The patches that have a class in some task, so many at once."""
    labelled = np.unique(np.concatenate([classes.indices for classes in patches.tasks.values()]))
    for first in range(0, len(labelled), TESTED_AT_ONCE):
        yield labelled[first : first + TESTED_AT_ONCE]


def _answers(
    run: CancerRun,
    patches: Patches,
    who: Asked,
    setting: str,
    block: Indices,
    done: set[tuple[str, int, str, str]],
) -> list[Prediction]:
    """What is not yet answered of one block on one setting."""
    asked = {key: _asked(patches, key, setting, block, done) for key in who.networks}
    if not any(asked.values()):
        return []
    images = make_images(
        setting, patches.read(block), run.scale, who.models.get(setting), who.device, who.precision
    )
    place = {int(index): i for i, index in enumerate(block)}
    rows = []
    for key, network in who.networks.items():
        if asked[key]:
            pixels = images[[place[index] for index in asked[key]]]
            said = classify(network, pixels, who.device, who.precision).tolist()
            truth = asked[key].values()
            for index, positive, probability in zip(asked[key], truth, said, strict=True):
                about = patches.names[index], patches.pictures[index], patches.patients[index]
                rounded = float(f"{probability:.7g}")  # all that float32 knows
                rows.append(Prediction(key.task, key.seed, setting, *about, positive, rounded))
    return rows


def _asked(
    patches: Patches, key: Key, setting: str, block: Indices, done: set[tuple[str, int, str, str]]
) -> dict[int, bool]:
    """The patches of a block that one classifier has still to answer, and the truth of each."""
    classes = patches.tasks[key.task]
    mine = np.isin(classes.indices, block)
    return {
        int(index): bool(positive)
        for index, positive in zip(classes.indices[mine], classes.positive[mine], strict=True)
        if (*key, setting, patches.names[index]) not in done
    }
