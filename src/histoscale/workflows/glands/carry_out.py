"""``histoscale glands RUN.toml``: enlarge, train every U-Net once, test it on everything, make the tables."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from histoscale.training.interruption import terminated_as_interrupted
from histoscale.workflows.glands.card import card, in_words
from histoscale.workflows.glands.drawings import draw_findings, draw_training_curves, evenly
from histoscale.workflows.glands.material import TEST, find_glands, of_part
from histoscale.workflows.glands.network import build_unet
from histoscale.workflows.glands.pictures import Pictures
from histoscale.workflows.glands.result_folder import write_results, write_texts
from histoscale.workflows.glands.run_file import read_gland_run
from histoscale.workflows.glands.scores import GlandScore, read_scores
from histoscale.workflows.glands.stages import enlarge_all, score_all, train_all
from histoscale.workflows.glands.texts import texts_of
from histoscale.workflows.glands.training import begin, task_of
from histoscale.workflows.processor import find_device
from histoscale.workflows.result_files import alone_in, writing

FIGURE, CURVES = "fig11.png", "curves.png"

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is being done, and the share of it that is done."""


def glands(
    run_file: Path, folder: Path, *, workers: int = 1, progress: Progress | None = None
) -> list[GlandScore]:
    """Carry out a run file; a second call goes on where the first was stopped.

    Args:
        run_file: TOML, see `histoscale.workflows.glands.run_file.GlandRun`.
        folder: of the results, the trainings and the enlarged images.
        workers: U-Nets trained or tested side by side.

    Raises:
        ConfigError: if the run file is wrong, or MONAI is not installed.
        DataError: if images or annotations are missing or cannot be read.
        WeightsError: if weights are missing or damaged.
        OutputError: if the folder holds another run or cannot be written.
        KeyboardInterrupt: after Ctrl-C or a polite kill; at most a minute of each training is lost.
    """
    run = read_gland_run(run_file)
    build_unet(run.network).to(find_device(run.device))  # what can fail at once should not fail after an hour
    images = find_glands(run.data)
    pictures = Pictures(run, folder / "images")
    told = progress or (lambda _, __: None)
    tasks = [task_of(run, seed, kind, folder) for seed in run.seeds for kind in run.kinds]
    for task in tasks:
        begin(task, pictures, images)
    with terminated_as_interrupted(), writing(folder), alone_in(folder):
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
