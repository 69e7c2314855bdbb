"""``histoscale glands RUN.toml``: enlarge, train every U-Net once, test it on everything, make the tables."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from histoscale.experiments.glands.card import card, in_words
from histoscale.experiments.glands.config import Enlarger, GlandRun, all_settings, read_gland_run
from histoscale.experiments.glands.data import TEST, TRAIN, GlandImage, Pictures, find_glands, of_part
from histoscale.experiments.glands.figure import draw_findings, draw_training_curves, evenly
from histoscale.experiments.glands.report import texts_of
from histoscale.experiments.glands.result_folder import PARTIAL, begin_scores, write_results, write_texts
from histoscale.experiments.glands.results import GlandScore, append_scores, read_scores
from histoscale.experiments.glands.scoring import score_unet
from histoscale.experiments.glands.segmentation import build_unet
from histoscale.experiments.glands.training import Task, begin, task_of, train_unet, validated
from histoscale.experiments.parallel import run_jobs
from histoscale.files import lock, writing
from histoscale.resources import find_device
from histoscale.training.signals import terminated_as_interrupted

# The stages of a run - enlarge, train, test: each does what is left, in as many processes as wanted.


class Enlargement(NamedTuple):
    """One image for one model to enlarge."""

    run: GlandRun
    folder: Path
    image: GlandImage
    model: Enlarger


def enlarge_all(
    run: GlandRun, images: list[GlandImage], folder: Path, workers: int, progress: Callable[[float], None]
) -> None:
    """Make the images of all models that are needed and not there."""
    pictures = Pictures(run, folder / "images")
    needed = [*of_part(images, TRAIN), *validated(images), *of_part(images, TEST)]
    jobs = [
        Enlargement(run, folder, image, model)
        for model in run.models
        for image in needed
        if not pictures.file(image, model.label).exists()
    ]
    for done, _ in enumerate(run_jobs(enlarge_one, jobs, workers), start=1):
        progress(done / len(jobs))


def enlarge_one(job: Enlargement) -> None:
    """One image, in whichever process."""
    Pictures(job.run, job.folder / "images").enlarge(job.image, job.model)


def train_all(tasks: Sequence[Task], workers: int, progress: Callable[[float], None]) -> None:
    """Train the networks that are not there."""
    total = sum(task.run.training.steps for task in tasks)

    def tell(*_: object) -> None:
        done = sum(t.run.training.steps if t.is_finished else t.steps_done() for t in tasks)
        progress(done / total)

    waiting = [task for task in tasks if not task.is_finished]
    work = partial(train_one, report=tell if workers <= 1 else None)
    for _ in run_jobs(work, waiting, workers, tick=tell):
        tell()


def train_one(task: Task, report: Callable[[int], None] | None = None) -> None:
    """One training, in whichever process."""
    pictures = Pictures(task.run, task.folder.parents[1] / "images")
    train_unet(task, pictures, find_glands(task.run.data), report)


def score_all(
    tasks: Sequence[Task], folder: Path, workers: int, progress: Callable[[float], None]
) -> list[GlandScore]:
    """The scores of every network, in order; those already in the folder are kept."""
    scores = begin_scores(tasks, of_part(find_glands(tasks[0].run.data), TEST), folder)
    there = {(score.seed, score.trained_on) for score in scores}
    waiting = [task for task in tasks if (task.seed, task.kind) not in there]

    for found in run_jobs(score_one, waiting, workers):
        append_scores(found, folder / PARTIAL)
        scores.extend(found)
        progress(len({(s.seed, s.trained_on) for s in scores}) / len(tasks))
    order = {setting: number for number, setting in enumerate(all_settings(tasks[0].run.kinds))}
    return sorted(scores, key=lambda score: (score.seed, order[score.setting]))


def score_one(task: Task) -> list[GlandScore]:
    """One network's scores, in whichever process."""
    pictures = Pictures(task.run, task.folder.parents[1] / "images")
    return score_unet(task, pictures, find_glands(task.run.data))


FIGURE, CURVES = "fig11.png", "curves.png"

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is being done, and the share of it that is done."""


def glands(
    run_file: Path,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> list[GlandScore]:
    """Carry out a run file; a second call goes on where the first was stopped.

    Args:
        run_file: TOML, see `histoscale.experiments.glands.config.GlandRun`.
        folder: of the results, the trainings and the enlarged images.
        overrides: ``KEY=VALUE`` each, overriding the file's keys.
        workers: U-Nets trained or tested side by side.

    Raises:
        ConfigError: if the run file is wrong, or MONAI is not installed.
        DataError: if images or annotations are missing or cannot be read.
        WeightsError: if weights are missing or damaged.
        OutputError: if the folder holds another run or cannot be written.
        KeyboardInterrupt: after Ctrl-C or a polite kill; at most a minute of each training is lost.
    """
    run = read_gland_run(run_file, overrides)
    build_unet(run.network).to(find_device(run.device))  # what can fail at once should not fail after an hour
    images = find_glands(run.data)
    pictures = Pictures(run, folder / "images")
    told = progress or (lambda _, __: None)
    tasks = [task_of(run, seed, kind, folder) for seed in run.seeds for kind in run.kinds]
    for task in tasks:
        begin(task, pictures, images)
    with terminated_as_interrupted(), writing(folder), lock(folder):
        enlarge_all(run, images, folder, workers, partial(told, "enlarging"))
        train_all(tasks, workers, partial(told, "training"))
        scores = score_all(tasks, folder, workers, partial(told, "testing"))
        write_results(scores, folder)
        described = card(run, images)
        write_texts(
            folder, {"card.json": json.dumps(described, indent=1) + "\n", "card.md": in_words(described)}
        )
        draw_training_curves(tasks, folder / CURVES)
        first = [task for task in tasks if task.seed == run.seeds[0]]
        draw_findings(first, pictures, evenly(of_part(images, TEST)), folder / FIGURE)
    return scores


def glands_again(scores: Path, folder: Path) -> list[GlandScore]:
    """Make the tables of ``scores`` again, from nothing else.

    Raises:
        DataError: if the scores cannot be read.
        OutputError: if the tables cannot be written.
    """
    rows = read_scores(scores)
    with writing(folder):
        write_texts(folder, texts_of(rows))
    return rows
