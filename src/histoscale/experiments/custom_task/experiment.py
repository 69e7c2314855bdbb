"""``histoscale judge``: a user's task on originals, low-resolution, bicubic and super-resolved images."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from histoscale.data.manifest import ImageRecord, centre_crop
from histoscale.errors import DataError
from histoscale.experiments.custom_task.report import MeasureTable, TaskScore, markdown, tables_of
from histoscale.experiments.custom_task.sample import Sample, read_facts
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
from histoscale.experiments.images import Case, ImageSelection, plan_cases, read_mask
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import ResultFolder, read_rows, rows_as_text
from histoscale.resources import AUTOMATIC, Compute

PROBE_PX = 16
"""Side of a small image that shows, before the work begins, whether a model supports the scale."""
RUN, SETTINGS, TABLES = "run.json", "settings.csv", "tables.md"


class Judged(NamedTuple):
    """The tables of a custom task, and all of them as Markdown."""

    tables: list[MeasureTable]
    text: str


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
    """Run a task on every image in every setting; a second call resumes a run that was stopped.

    Args:
        task: ``FILE.py:NAME`` or the name of a shipped task; see `histoscale.experiments.custom_task.task`.
        selection: the images and one degradation; "none" is plain bicubic, as in the paper.
        models: ``LABEL=WEIGHTS`` or weights; originals, low resolution and bicubic are always included.
        overwrite: replace the results of an earlier run in ``output``.

    Raises:
        HistoscaleError: if an argument, the data or the weights are wrong, or the task fails.
    """
    loaded_task = load_task(task)
    cases = plan_cases(selection.records(), [scale], selection.degradations, selection.crop_px)
    device, precision = compute.resolve()
    sources = name_models(models)
    settings = describe_settings(sources)
    size = (round(PROBE_PX * scale), round(PROBE_PX * scale))
    images = SettingImages(load_models(sources, (PROBE_PX, PROBE_PX), size, device), device, precision)
    work = TaskOnImages(loaded_task, settings, images, selection.data, read_facts(selection.data))
    run = work.describe(cases[0])
    folder = ResultFolder(output, TaskScore, settings=RUN)
    shared = [key for key in run if key != "name"]  # version 0.1 did not write the name
    with folder.opened(run, shared, resume=not overwrite, overwrite=overwrite) as earlier:
        rows = _complete(earlier, len(settings))
        folder.begin(rows, run)
        folder.write({SETTINGS: rows_as_text(Setting, settings)})
        finished = {row.image for row in rows}
        for number, case in enumerate(cases, start=1):
            if name_of(case.record) not in finished:
                new = list(work.scores(case))
                folder.append(new)
                rows += new
            progress(number / len(cases), "running the task")
        order = {name_of(case.record): i for i, case in enumerate(cases)}
        rows = sorted((row for row in rows if row.image in order), key=lambda row: order[row.image])
        judged = _judged(loaded_task.file.stem, scale, rows, settings)
        folder.finish(rows, run, {TABLES: judged.text})
    return judged


def judge_again(scores: Path, output: Path) -> Judged:
    """Make the tables again from the scores of a finished run and the two files beside them.

    Raises:
        DataError: if a file is missing or damaged.
        OutputError: if the tables cannot be written.
    """
    rows, settings = read_rows(scores, TaskScore), read_settings(scores.with_name(SETTINGS))
    run = ResultFolder(scores.parent, TaskScore, settings=RUN).read_settings()
    if "scale" not in run:
        raise DataError(f"{scores.with_name(RUN)} is missing or damaged: run the task again.")
    judged = _judged(run.get("name", scores.absolute().parent.name), float(run["scale"]), rows, settings)
    ResultFolder(output, TaskScore).write({TABLES: judged.text})
    return judged


def _judged(name: str, scale: float, rows: Sequence[TaskScore], settings: Sequence[Setting]) -> Judged:
    tables = tables_of(rows)
    return Judged(tables, markdown(name, scale, tables, settings))


@dataclass(frozen=True)
class TaskOnImages:
    """A task, and what makes its images.

    Attributes:
        data: as in `ImageSelection`.
        facts: rows of the manifest by image file.
    """

    task: Task
    settings: Sequence[Setting]
    images: SettingImages
    data: Path
    facts: Mapping[Path, Mapping[str, str]]

    def describe(self, case: Case) -> dict[str, str]:
        """Describe what the scores depend on.

        Args:
            case: any of them; they have scale, degradation and crop in common.
        """
        return {
            "name": self.task.file.stem,
            "task": f"{self.task.name} of {hashlib.sha256(self.task.file.read_bytes()).hexdigest()}",
            "models": ", ".join(f"{one.name} {one.digest}" for one in self.settings if one.digest),
            "data": str(self.data),
            "scale": f"{case.scale:g}",
            "degradation": case.degradation,
            "crop_px": str(case.crop_px),
            "precision": self.images.precision,
        }

    def scores(self, case: Case) -> Iterator[TaskScore]:
        """Run the task on one image in every setting.

        Raises:
            InputError: if the image or its mask cannot be read.
            DataError: if their sizes differ.
            HistoscaleError: if the task fails.
        """
        record = case.record
        facts = self.facts.get(record.path, {})
        low, truth = case.pair()
        size, mask = (truth.shape[0], truth.shape[1]), None
        if facts.get("mask"):
            root = self.data if self.data.is_dir() else self.data.parent
            mask = centre_crop(read_mask(root / facts["mask"], record.path), case.crop_px)
            mask = mask[: size[0], : size[1]]
        for setting in (one.name for one in self.settings):
            image = self.images.make(setting, low[None], truth[None])[0]
            scale = float(case.scale) if setting == LOW else 1.0
            sample = Sample(record.id, record.path, size, scale, mask, facts)
            for measure, score in self.task.scores(image, sample, setting).items():
                yield TaskScore(name_of(record), setting, measure, score)


def name_of(record: ImageRecord) -> str:
    """Name an image in the scores."""
    return f"{record.set}/{record.id}"


def _complete(rows: Sequence[TaskScore], settings: int) -> list[TaskScore]:
    """Keep the rows of images that have all settings: a run may have been killed in between."""
    found = Counter(image for image, _ in {(row.image, row.setting) for row in rows})
    return [row for row in rows if found[row.image] == settings]
