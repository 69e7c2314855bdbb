"""Where the results of a run lie, finished or not: no score is lost, none is taken for another setting's."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from histoscale.experiments.glands.config import GlandRun, kinds_tested
from histoscale.experiments.glands.data import GlandImage, Pictures
from histoscale.experiments.glands.report import texts_of
from histoscale.experiments.glands.results import GlandScore, read_scores, write_scores
from histoscale.experiments.glands.training import Task
from histoscale.files import atomic_write, write_text

SCORES, PARTIAL = "scores.csv", "scores.partial.csv"
SCORED_BY = "scored-by.json"
"""What the scores depend on."""


def begin_scores(tasks: Sequence[Task], tests: Sequence[GlandImage], folder: Path) -> list[GlandScore]:
    """Open the unfinished scores with those of an earlier call that was of the same settings, and give them.

    Only whole networks count, each with all its images; others are scored again.
    """
    run, note = tasks[0].run, folder / SCORED_BY
    now = scored_by(run, tests, folder)
    alike = note.exists() and note.read_text(encoding="utf-8") == now
    file = next((folder / name for name in (PARTIAL, SCORES) if (folder / name).exists()), None)
    found = read_scores(file) if alike and file else []
    counts = Counter((score.seed, score.trained_on) for score in found)
    complete = {
        (task.seed, task.kind)
        for task in tasks
        if counts[task.seed, task.kind] == len(tests) * len(kinds_tested(task.kind, run.kinds))
    }
    kept = [score for score in found if (score.seed, score.trained_on) in complete]
    with atomic_write(folder / PARTIAL) as path:
        write_scores(kept, path)
    write_texts(folder, {SCORED_BY: now})  # last: a kill before it must not leave old scores under a new note
    return kept


def scored_by(run: GlandRun, tests: Sequence[GlandImage], folder: Path) -> str:
    """Everything that scores depend on but the seeds, which stand in them."""
    content = {
        "run": json.loads(
            run.model_dump_json(exclude={"name": True, "seeds": True, "device": True, "data": {"root"}})
        ),
        "weights": [path.name for path in Pictures(run, folder).folders.values()],
        "images": [f"{image.part}/{image.id}" for image in tests],
    }
    return json.dumps(content, indent=1) + "\n"


def write_results(scores: Sequence[GlandScore], folder: Path) -> None:
    """The scores and their tables, complete; the unfinished ones go."""
    with atomic_write(folder / SCORES) as path:
        write_scores(scores, path)
    write_texts(folder, texts_of(read_scores(folder / SCORES)))
    (folder / PARTIAL).unlink(missing_ok=True)


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Files that come under their own names when they are whole."""
    for name, text in texts.items():
        write_text(folder / name, text)
