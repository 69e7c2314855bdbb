"""``histoscale judge``: a person's task on originals, low-resolution, bicubic and super-resolved images."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from histoscale.data.manifest import ImageRecord, find_images, read_rgb
from histoscale.data.pillow_degradation import enlarge_bicubic
from histoscale.errors import DataError
from histoscale.experiments.custom_task.report import MeasureTable, markdown, tables_of
from histoscale.experiments.custom_task.results import TaskFolder, TaskScore
from histoscale.experiments.custom_task.sample import Sample, read_facts, read_mask
from histoscale.experiments.custom_task.task import Task, load_task
from histoscale.experiments.images import check_scale, known_degradation, make_pair, spread
from histoscale.experiments.methods import (
    BICUBIC,
    LOW,
    ORIGINAL,
    describe_settings,
    load_models,
    name_models,
)
from histoscale.files import lock
from histoscale.imaging.degrade import Degradation
from histoscale.inference import Precision, upscale
from histoscale.models.base import SuperResolver
from histoscale.resources import PrecisionChoice, find_device, find_precision

Picture = UInt8[np.ndarray, "_ _ 3"]
PROBE_PX = 16
"""Side of a small image on which models show that they can make the scale."""
Progress = Callable[[int, int], None]
"""Called after every image with the number done and their total."""


class Judged(NamedTuple):
    """What was found, and the whole of it as Markdown."""

    tables: list[MeasureTable]
    text: str


@dataclass(frozen=True)
class Making:
    """How the images of every setting are made."""

    scale: float
    degradation: Degradation
    crop_px: int | None
    models: Mapping[str, SuperResolver]
    device: torch.device
    precision: Precision


def judge(
    task: str,
    data: Path,
    output: Path,
    models: Sequence[str] = (),
    *,
    scale: float = 4.0,
    degradation: str = "none",
    sets: Sequence[str] = (),
    split: str = "test",
    limit: int | None = None,
    crop_px: int | None = None,
    precision: PrecisionChoice = "auto",
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Judged:
    """Run a task on every image in every setting; a second call goes on where the first was stopped.

    Args:
        task: ``FILE.py:NAME`` or the name of one that ships; for the contract see
            `histoscale.experiments.custom_task.task`.
        models: ``LABEL=WEIGHTS`` or weights; originals, low resolution and bicubic are always there.
        degradation: "none" is plain bicubic, as in the paper's downstream tasks.
        overwrite: begin anew where an earlier run lies in ``output``.
        data, sets, split, limit, crop_px, precision, device: as in `experiments.evaluate.evaluate`.

    Raises:
        HistoscaleError: in one sentence, what went wrong; where in the task's own code, with its line.
    """
    judged = load_task(task)
    records = spread(find_images(data, sets, split), limit)
    check_scale(scale)
    kind = known_degradation(degradation)
    place = find_device(device)
    numbers = find_precision(precision, place)
    sources = name_models(models)
    settings = describe_settings(sources)
    probe, made = (PROBE_PX, PROBE_PX), (round(PROBE_PX * scale), round(PROBE_PX * scale))
    making = Making(scale, kind, crop_px, load_models(sources, probe, made, place), place, numbers)
    account = {
        "task": f"{judged.name} of {hashlib.sha256(judged.file.read_bytes()).hexdigest()}",
        "models": ", ".join(f"{one.name} {one.digest}" for one in settings if one.digest),
        **{"data": str(data), "scale": f"{scale:g}", "degradation": kind},
        **{"crop_px": str(crop_px), "precision": numbers},
    }
    folder = TaskFolder(output)
    with lock(output):
        rows = folder.begin(account, settings, overwrite)
        asked, facts = {row.image for row in rows}, read_facts(data)
        for number, record in enumerate(records, start=1):
            if name_of(record) not in asked:
                new = list(_ask(judged, record, making, facts.get(record.path, {}), data))
                folder.add(new)
                rows += new
            if progress is not None:
                progress(number, len(records))
        order = {name_of(record): i for i, record in enumerate(records)}
        rows = sorted((row for row in rows if row.image in order), key=lambda row: order[row.image])
        tables = tables_of(rows)
        text = markdown(judged.file.stem, scale, tables, settings)
        folder.finish(rows, text)
    return Judged(tables, text)


def name_of(record: ImageRecord) -> str:
    """An image's name in the scores."""
    return f"{record.set}/{record.id}"


def settings_of(low: Picture, truth: Picture, making: Making) -> Iterator[tuple[str, Picture]]:
    """Every setting's name and its image, of an original and what was made of it."""
    size = (truth.shape[0], truth.shape[1])
    yield ORIGINAL, truth
    yield LOW, low
    yield BICUBIC, enlarge_bicubic(low, size)
    for name, model in making.models.items():
        yield name, upscale(model, low, size, precision=making.precision, device=making.device)


def _ask(
    task: Task, record: ImageRecord, making: Making, facts: Mapping[str, str], data: Path
) -> Iterator[TaskScore]:
    """The task's answers to one image in every setting."""
    original = read_rgb(record.path)
    mask = read_mask(record, facts, data)
    if mask is not None and mask.shape != original.shape[:2]:
        raise DataError(
            f"Wanted a mask as large as {record.path}, {original.shape[:2]}, got one of {mask.shape}."
        )
    window = _middle(original.shape[:2], making.crop_px)
    low, truth = make_pair(np.ascontiguousarray(original[window]), making.scale, making.degradation)
    size = (truth.shape[0], truth.shape[1])
    cut = None if mask is None else mask[window][: size[0], : size[1]]
    for setting, image in settings_of(low, truth, making):
        scale = float(making.scale) if setting == LOW else 1.0
        sample = Sample(record.id, record.path, size, scale, cut, facts)
        for measure, score in task.scores(image, sample, setting).items():
            yield TaskScore(name_of(record), setting, measure, score)


def _middle(size: tuple[int, ...], side_px: int | None) -> tuple[slice, slice]:
    """The middle so many pixels a side, or all."""
    sides = [min(n, side_px or n) for n in size]
    rows, cols = (slice((n - side) // 2, (n - side) // 2 + side) for n, side in zip(size, sides, strict=True))
    return rows, cols
