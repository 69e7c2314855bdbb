"""The stages of a run - enlarge, train, test: each does what is left, in as many processes as wanted."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from histoscale.workflows.glands.material import TEST, TRAIN, GlandImage, find_glands, of_part
from histoscale.workflows.glands.pictures import Pictures
from histoscale.workflows.glands.processes import side_by_side
from histoscale.workflows.glands.result_folder import PARTIAL, begin_scores
from histoscale.workflows.glands.run_file import Enlarger, GlandRun
from histoscale.workflows.glands.scores import GlandScore, append_scores
from histoscale.workflows.glands.scoring import score_unet
from histoscale.workflows.glands.settings import all_settings
from histoscale.workflows.glands.training import Task, train_unet, validated


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
    left = iter(range(len(jobs) - 1, -1, -1))
    side_by_side(enlarge_one, jobs, workers, lambda _: progress(1 - next(left) / len(jobs)), lambda: None)


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
    side_by_side(work, waiting, workers, done=tell, tick=tell)


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

    def keep(found: list[GlandScore]) -> None:
        append_scores(found, folder / PARTIAL)
        scores.extend(found)
        progress(len({(s.seed, s.trained_on) for s in scores}) / len(tasks))

    side_by_side(score_one, waiting, workers, done=keep, tick=lambda: None)
    order = {setting: number for number, setting in enumerate(all_settings(tasks[0].run.kinds))}
    return sorted(scores, key=lambda score: (score.seed, order[score.setting]))


def score_one(task: Task) -> list[GlandScore]:
    """One network's scores, in whichever process."""
    pictures = Pictures(task.run, task.folder.parents[1] / "images")
    return score_unet(task, pictures, find_glands(task.run.data))
