"""``histoscale glands RUN.toml``: enlarge, train every U-Net once, test it on everything, make the tables."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from histoscale.errors import OutputError
from histoscale.workflows.glands.card import card, in_words
from histoscale.workflows.glands.drawings import draw_findings, draw_training_curves, evenly
from histoscale.workflows.glands.material import TEST, GlandImage, find_glands, of_part
from histoscale.workflows.glands.network import build_unet
from histoscale.workflows.glands.pictures import Pictures
from histoscale.workflows.glands.processes import side_by_side, stopping_on_polite_kill
from histoscale.workflows.glands.run_file import GlandRun, read_gland_run
from histoscale.workflows.glands.scores import GlandScore, append_scores, read_scores, write_scores
from histoscale.workflows.glands.scoring import score_unet
from histoscale.workflows.glands.settings import all_settings, kinds_tested
from histoscale.workflows.glands.texts import texts_of
from histoscale.workflows.glands.training import Task, begin, task_of, train_unet
from histoscale.workflows.processor import find_device

SCORES, PARTIAL, FIGURE, CURVES = "scores.csv", "scores.partial.csv", "fig11.png", "curves.png"
SCORED_BY = "scored-by.json"
"""What scores depend on beside the networks."""

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
    with stopping_on_polite_kill(), writing(folder):
        pictures.enlarge(run.models, images, partial(told, "enlarging"))
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
    unfinished = folder / PARTIAL
    scores = earlier_scores(tasks, folder)
    write_scores(scores, unfinished)
    there = {(score.seed, score.trained_on) for score in scores}
    waiting = [task for task in tasks if (task.seed, task.kind) not in there]

    def keep(found: list[GlandScore]) -> None:
        append_scores(found, unfinished)
        scores.extend(found)
        progress(len({(s.seed, s.trained_on) for s in scores}) / len(tasks))

    side_by_side(score_one, waiting, workers, done=keep, tick=lambda: None)
    order = {setting: number for number, setting in enumerate(all_settings(tasks[0].run.kinds))}
    return sorted(scores, key=lambda score: (score.seed, order[score.setting]))


def earlier_scores(tasks: Sequence[Task], folder: Path) -> list[GlandScore]:
    """What an earlier call has scored in the same way, network by network; others are scored again."""
    run = tasks[0].run
    tests = of_part(find_glands(run.data), TEST)
    file = next((folder / name for name in (PARTIAL, SCORES) if (folder / name).exists()), None)
    if not _scored_alike(run, tests, folder) or file is None:
        return []
    found = read_scores(file)
    counts = Counter((score.seed, score.trained_on) for score in found)
    whole = {
        (task.seed, task.kind)
        for task in tasks
        if counts[task.seed, task.kind] == len(tests) * len(kinds_tested(task.kind, run.kinds))
    }
    return [score for score in found if (score.seed, score.trained_on) in whole]


def _scored_alike(run: GlandRun, tests: Sequence[GlandImage], folder: Path) -> bool:
    """Whether what scores depend on beside the networks is as in the last call, and note how it is now."""
    note = folder / SCORED_BY
    before = note.read_text(encoding="utf-8") if note.exists() else ""
    now = {
        "objects": json.loads(run.objects.model_dump_json()),
        "kinds": [*run.kinds, *(path.name for path in Pictures(run, folder).folders.values())],
        "images": [f"{image.part}/{image.id}" for image in tests],
    }
    text = json.dumps(now, indent=1) + "\n"
    write_texts(folder, {SCORED_BY: text})
    return text == before


def score_one(task: Task) -> list[GlandScore]:
    """One network's scores, in whichever process."""
    pictures = Pictures(task.run, task.folder.parents[1] / "images")
    return score_unet(task, pictures, find_glands(task.run.data))


def write_results(scores: Sequence[GlandScore], folder: Path) -> None:
    """The scores and their tables, complete; the unfinished ones go."""
    partial_file = folder / f"{SCORES}.partial"
    write_scores(scores, partial_file)
    partial_file.replace(folder / SCORES)
    write_texts(folder, texts_of(read_scores(folder / SCORES)))
    (folder / PARTIAL).unlink(missing_ok=True)


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Files that come under their own names when they are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        partial_file = folder / f"{name}.partial"
        partial_file.write_text(text, encoding="utf-8")
        partial_file.replace(folder / name)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Failing disks in one sentence."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
