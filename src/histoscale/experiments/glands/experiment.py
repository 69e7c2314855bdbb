"""``histoscale glands RUN.toml``: upscale, train every U-Net once, test it on every kind, make the tables."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import torch

from histoscale.experiments.downstream.config import with_compute
from histoscale.experiments.glands.card import describe_run
from histoscale.experiments.glands.card import markdown as card_markdown
from histoscale.experiments.glands.config import GlandRun, all_settings, kinds_tested
from histoscale.experiments.glands.data import (
    TEST,
    TRAIN,
    GlandImage,
    ImageStore,
    ModelImage,
    find_glands,
    of_part,
)
from histoscale.experiments.glands.figure import draw_glands, draw_training_curves, evenly
from histoscale.experiments.glands.scores import GlandScore, score_unet
from histoscale.experiments.glands.segmentation import build_unet
from histoscale.experiments.glands.statistics import parts_of
from histoscale.experiments.glands.tables import markdown, tables_of
from histoscale.experiments.glands.training import UNetTask, begin, train_unet, validated
from histoscale.experiments.parallel import OnProgress, ignore_progress, run_jobs
from histoscale.experiments.results import ResultFolder, read_rows
from histoscale.experiments.tables import latex_document
from histoscale.files import lock, writing
from histoscale.resources import AUTOMATIC, Compute, find_device
from histoscale.run_file import read_tables
from histoscale.training.signals import terminated_as_interrupted

SCORED_BY, TABLES, LATEX = "scored-by.json", "tables.md", "tables.tex"
FIGURE, CURVES = "fig11.png", "curves.png"


def glands(
    run_file: Path,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    compute: Compute = AUTOMATIC,
    progress: OnProgress = ignore_progress,
) -> list[GlandScore]:
    """Train and test U-Nets as a run file describes, and make the tables.

    A second call resumes a run that was stopped.

    Args:
        run_file: TOML, see `histoscale.experiments.glands.config.GlandRun`.
        output: folder for the results, the trainings and the upscaled images.
        overrides: ``KEY=VALUE`` each, overriding keys of the file.
        compute: device and precision override those of the run file where they are given; each worker trains
            or tests one U-Net at a time.

    Raises:
        ConfigError: if the run file is wrong, or MONAI is not installed.
        DataError: if images or annotations are missing or cannot be read.
        WeightsError: if weights are missing or damaged.
        OutputError: if the folder holds another run or cannot be written.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; at most a minute of each training is lost.
    """
    run = with_compute(read_tables(run_file, GlandRun, overrides), compute)
    if compute.threads:
        torch.set_num_threads(compute.threads)
    build_unet(run.network).to(find_device(run.device))  # a missing package or device has to fail now
    records, images = find_glands(run.data), ImageStore(run, output)
    tasks = [UNetTask(run, seed, kind, output) for seed in run.seeds for kind in run.kinds]
    for task in tasks:
        begin(task, records)
    folder = ResultFolder(output, GlandScore, settings=SCORED_BY)
    with terminated_as_interrupted(), writing(output), lock(output):
        upscale_all(images, records, compute.workers, progress)
        train_all(tasks, compute.workers, progress)
        scores = score_all(tasks, folder, records, compute.workers, progress)
        card = describe_run(run, records)
        folder.write({"card.json": json.dumps(card, indent=1) + "\n", "card.md": card_markdown(card)})
        draw_training_curves(tasks, output / CURVES)
        first = [task for task in tasks if task.seed == run.seeds[0]]
        draw_glands(first, evenly(of_part(records, TEST)), output / FIGURE)
    return scores


def glands_again(scores: Path, output: Path) -> list[GlandScore]:
    """Make the tables again from the scores alone.

    Raises:
        DataError: if the scores cannot be read.
        OutputError: if the tables cannot be written.
    """
    rows = read_rows(scores, GlandScore)
    ResultFolder(output, GlandScore).write({TABLES: markdown(rows)})
    return rows


def write_latex(scores: Sequence[GlandScore], output: Path) -> None:
    """Write the tables in LaTeX as well.

    Raises:
        OutputError: if they cannot be written.
    """
    tables = (table for part in parts_of(scores) for table in tables_of(part))
    ResultFolder(output, GlandScore).write({LATEX: latex_document(tables)})


# The stages of a run. Each does what is left to do, in parallel.


def upscale_all(
    images: ImageStore, records: Sequence[GlandImage], workers: int, progress: OnProgress
) -> None:
    """Make the missing images of all models."""
    used = [*of_part(records, TRAIN), *validated(records), *of_part(records, TEST)]
    wanted = [ModelImage(record, label) for label in images.folders for record in used]
    jobs = [one for one in wanted if not images.file(one).exists()]
    for number, _ in enumerate(run_jobs(images.upscale, jobs, workers), start=1):
        progress(number / len(jobs), "upscaling")


def train_all(tasks: Sequence[UNetTask], workers: int, progress: OnProgress) -> None:
    """Train the networks that are not trained yet."""
    total = sum(task.run.training.steps for task in tasks)

    def report(*_: object) -> None:
        # Workers do not report their steps; they are read from the metrics that each training writes.
        done = sum(t.run.training.steps if t.is_finished else t.steps_done() for t in tasks)
        progress(done / total, "training")

    waiting = [task for task in tasks if not task.is_finished]
    train = partial(train_unet, report=report if workers <= 1 else None)
    for _ in run_jobs(train, waiting, workers, tick=report):
        report()


def score_all(
    tasks: Sequence[UNetTask],
    folder: ResultFolder[GlandScore],
    records: Sequence[GlandImage],
    workers: int,
    progress: OnProgress,
) -> list[GlandScore]:
    """Score every network; scores in the folder are kept if nothing that they depend on has changed."""
    run, tests = tasks[0].run, of_part(records, TEST)
    settings = scored_by(tasks[0].images, tests)
    scores = [] if folder.changes(settings) else complete(folder.read(), run.kinds, len(tests))
    folder.begin(scores, settings)
    scored = {(score.seed, score.trained_on) for score in scores}
    waiting = [task for task in tasks if (task.seed, task.kind) not in scored]
    for number, new in enumerate(run_jobs(score_unet, waiting, workers), start=1):
        folder.append(new)
        scores += new
        progress((len(tasks) - len(waiting) + number) / len(tasks), "testing")
    order = {setting: number for number, setting in enumerate(all_settings(run.kinds))}
    kept = [score for score in scores if score.seed in run.seeds]
    kept.sort(key=lambda score: (score.seed, order[score.setting]))
    folder.finish(kept, settings, {TABLES: markdown(kept)})
    return kept


def scored_by(images: ImageStore, tests: Iterable[GlandImage]) -> dict[str, object]:
    """Describe what scores depend on, apart from the seeds, which are in the scores."""
    free: dict[str, bool | set[str]] = {"name": True, "seeds": True, "device": True, "data": {"root"}}
    return {
        "run": images.run.model_dump(mode="json", exclude=free),
        "weights": [path.name for path in images.folders.values()],
        "images": [f"{image.part}/{image.id}" for image in tests],
    }


def complete(scores: Sequence[GlandScore], kinds: Sequence[str], tests: int) -> list[GlandScore]:
    """Keep the scores of networks that were tested on every image of every kind, not cut short by a kill."""
    counts = Counter((score.seed, score.trained_on) for score in scores)
    return [
        score
        for score in scores
        if score.trained_on in kinds
        and counts[score.seed, score.trained_on] == tests * len(kinds_tested(score.trained_on, kinds))
    ]
