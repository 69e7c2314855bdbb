"""``histoscale judge``: a person's task on originals, low-resolution, bicubic and super-resolved images."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histoscale.data.manifest import ImageRecord
from histoscale.errors import DataError
from histoscale.experiments.custom_task.report import MeasureTable, TaskScore, markdown, tables_of
from histoscale.experiments.custom_task.sample import Sample, read_facts, read_mask
from histoscale.experiments.custom_task.task import Task, load_task
from histoscale.experiments.downstream.settings import (
    LOW,
    Setting,
    SettingImages,
    describe_settings,
    load_models,
    name_models,
    read_settings,
)
from histoscale.experiments.images import ImageSelection, make_pair, plan_cases
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import ResultFolder, read_rows, rows_as_text
from histoscale.imaging.degrade import Degradation
from histoscale.io.image_reader import read_rgb
from histoscale.resources import AUTOMATIC, Compute

PROBE_PX = 16
"""Side of a small image that proves, before the work, that a model supports the scale."""
RUN, SETTINGS, TABLES = "run.json", "settings.csv", "tables.md"


class Judged(NamedTuple):
    """The tables of a custom task, and all of them as Markdown."""

    tables: list[MeasureTable]
    text: str


@dataclass(frozen=True)
class ImageRecipe:
    """How the images of every setting are made."""

    scale: float
    degradation: Degradation
    crop_px: int | None
    settings: Sequence[Setting]
    images: SettingImages


def judge(
    task: str,
    selection: ImageSelection,
    output: Path,
    models: Sequence[str] = (),
    *,
    scale: float = 4.0,
    compute: Compute = AUTOMATIC,
    overwrite: bool = False,
    progress: OnProgress = ignore_progress,
) -> Judged:
    """Run a task on every image in every setting; a second call resumes where the first was stopped.

    Args:
        task: ``FILE.py:NAME`` or the name of one that ships; see `histoscale.experiments.custom_task.task`.
        selection: the images and one degradation; "none" is plain bicubic, as in the paper.
        models: ``LABEL=WEIGHTS`` or weights; originals, low resolution and bicubic are always included.
        overwrite: start again where an earlier run lies in ``output``.

    Raises:
        HistoscaleError: in one sentence, what went wrong; for the task's own mistakes, with the line.
    """
    judged = load_task(task)
    records = selection.records()
    degradation = plan_cases(records, [scale], selection.degradations)[0].degradation
    device, precision = compute.resolve()
    sources = name_models(models)
    settings = describe_settings(sources)
    size = (round(PROBE_PX * scale), round(PROBE_PX * scale))
    loaded = load_models(sources, (PROBE_PX, PROBE_PX), size, device)
    images = SettingImages(loaded, device, precision)
    recipe = ImageRecipe(scale, degradation, selection.crop_px, settings, images)
    run = describe_run(judged, selection.data, recipe)
    folder = ResultFolder(output, TaskScore, settings=RUN)
    shared = [key for key in run if key != "name"]  # which 0.1 did not write
    with folder.opened(run, shared, resume=not overwrite, overwrite=overwrite) as earlier:
        rows = _complete(earlier, len(settings))
        folder.begin(rows, run)
        folder.write({SETTINGS: rows_as_text(Setting, settings)})
        finished, facts = {row.image for row in rows}, read_facts(selection.data)
        for number, record in enumerate(records, start=1):
            if name_of(record) not in finished:
                new = list(score_image(judged, record, recipe, facts.get(record.path, {}), selection.data))
                folder.append(new)
                rows += new
            progress(number / len(records), "running the task")
        order = {name_of(record): i for i, record in enumerate(records)}
        rows = sorted((row for row in rows if row.image in order), key=lambda row: order[row.image])
        tables = tables_of(rows)
        text = markdown(judged.file.stem, scale, tables, settings)
        folder.finish(rows, run, {TABLES: text})
    return Judged(tables, text)


def judge_again(scores: Path, output: Path) -> Judged:
    """Make the tables again from the scores of a finished run, and the two files beside them.

    Raises:
        DataError: if a file is missing or damaged.
        OutputError: if the tables cannot be written.
    """
    rows, settings = read_rows(scores, TaskScore), read_settings(scores.with_name(SETTINGS))
    run = ResultFolder(scores.parent, TaskScore, settings=RUN).read_settings()
    if "scale" not in run:
        raise DataError(f"{scores.with_name(RUN)} is missing or damaged: run the task again.")
    tables = tables_of(rows)
    text = markdown(run.get("name", scores.absolute().parent.name), float(run["scale"]), tables, settings)
    ResultFolder(output, TaskScore).write({TABLES: text})
    return Judged(tables, text)


def describe_run(task: Task, data: Path, recipe: ImageRecipe) -> dict[str, str]:
    """Describe what the scores depend on."""
    return {
        "name": task.file.stem,
        "task": f"{task.name} of {hashlib.sha256(task.file.read_bytes()).hexdigest()}",
        "models": ", ".join(f"{one.name} {one.digest}" for one in recipe.settings if one.digest),
        "data": str(data),
        "scale": f"{recipe.scale:g}",
        "degradation": recipe.degradation,
        "crop_px": str(recipe.crop_px),
        "precision": recipe.images.precision,
    }


def name_of(record: ImageRecord) -> str:
    """Name an image in the scores."""
    return f"{record.set}/{record.id}"


def score_image(
    task: Task, record: ImageRecord, recipe: ImageRecipe, facts: Mapping[str, str], data: Path
) -> Iterator[TaskScore]:
    """Run the task on one image in every setting.

    Raises:
        DataError: if the image or its mask cannot be read, or their sizes differ.
        HistoscaleError: if the task fails.
    """
    original = read_rgb(record.path)
    mask = read_mask(facts, data)
    if mask is not None and mask.shape != original.shape[:2]:
        sizes = [f"{height} x {width}" for height, width in (mask.shape, original.shape[:2])]
        raise DataError(f"The mask of {record.path} has {sizes[0]} pixels, but the image has {sizes[1]}.")
    window = _centre(original.shape[:2], recipe.crop_px)
    low, truth = make_pair(np.ascontiguousarray(original[window]), recipe.scale, recipe.degradation)
    size = (truth.shape[0], truth.shape[1])
    cropped = None if mask is None else mask[window][: size[0], : size[1]]
    for setting, *_ in recipe.settings:
        image = recipe.images.make(setting, low[None], truth[None])[0]
        scale = float(recipe.scale) if setting == LOW else 1.0
        sample = Sample(record.id, record.path, size, scale, cropped, facts)
        for measure, score in task.scores(image, sample, setting).items():
            yield TaskScore(name_of(record), setting, measure, score)


def _complete(rows: Sequence[TaskScore], settings: int) -> list[TaskScore]:
    """Keep the rows of images that have all settings: a run may have been killed in between."""
    found = Counter(image for image, _ in {(row.image, row.setting) for row in rows})
    return [row for row in rows if found[row.image] == settings]


def _centre(size: tuple[int, ...], side_px: int | None) -> tuple[slice, slice]:
    """The central crop of so many pixels a side, or everything."""
    sides = [min(n, side_px or n) for n in size]
    rows, cols = (slice((n - side) // 2, (n - side) // 2 + side) for n, side in zip(size, sides, strict=True))
    return rows, cols
