"""``histoscale evaluate``: how close do models come to the truth, at any scale, beside bicubic."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from histoscale import weights
from histoscale.data.manifest import find_images
from histoscale.errors import ConfigError
from histoscale.experiments.images import check_sizes, plan, spread
from histoscale.experiments.methods import Member, look_at
from histoscale.experiments.results import write_rows
from histoscale.experiments.scores import BICUBIC, Score, plain_summaries
from histoscale.experiments.scoring import Job, score_jobs
from histoscale.experiments.tables import markdown
from histoscale.files import atomic_files, refuse_existing, refuse_unwritable
from histoscale.resources import PrecisionChoice, find_device, find_precision

SCALES = (1.5, 2.0, 2.4, 3.0, 3.3, 4.0, 4.2, 5.1, 6.0, 8.0)
"""All scales of the paper's Tables 1 and 2."""
FILES = ("scores.csv", "tables.md", "summary.json")
"""What an evaluation writes into its folder."""
Sources = tuple[tuple[str, str], ...]
"""For each model its name in the tables and what it is loaded from."""


def evaluate(
    models: Sequence[str | Path],
    data: Path,
    output: Path,
    *,
    sets: Sequence[str] = (),
    split: str = "test",
    scales: Sequence[float] = SCALES,
    degradations: Sequence[str] = ("B", "none"),
    limit: int | None = None,
    crop_px: int | None = None,
    allow_resize: bool = False,
    precision: PrecisionChoice = "fp32",
    device: str = "auto",
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Score weights on images and write `FILES` into ``output``.

    Args:
        models: shipped names or .safetensors paths; bicubic is always there besides.
        data: a manifest or its folder, a folder of pictures, or one picture.
        sets: data sets of the manifest wanted; all where empty.
        split: split of the manifest wanted; all where empty.
        scales: any real numbers from 1.
        limit: at most so many images of each set, evenly spread over it.
        crop_px: score the middle so many pixels of each image only, for slow models.
        allow_resize: take a fixed-scale model to other scales by bicubic.
        precision: "auto" is bf16 where the device multiplies it natively, else fp32.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        workers: processes, one thread each; 1 stays in this process with the threads it has.
        overwrite: replace the results of an earlier evaluation.
        progress: called after every case with the number done and their total.

    Returns:
        One score for each image, degradation, scale and model.

    Raises:
        DataError: if there is no image, or no such set or split.
        ScaleError: if a scale is below 1 or no number.
        ConfigError: if a degradation, device or precision is unknown or two models share a name.
        WeightsError: if weights are missing or damaged.
        InputError: if an image is too small to be scored at a scale.
        OutputError: if results are there already or cannot be written.
    """
    cases = plan(spread(find_images(data, sets, split), limit), scales, degradations, crop_px)
    check_sizes(cases)
    sources = name_models(models)
    place = find_device(device)
    numbers = find_precision(precision, place)
    members = [Member(name, (look_at(source, str(place)),)) for name, source in sources]
    if not overwrite:
        refuse_existing(*(output / name for name in FILES))
    refuse_unwritable(output / FILES[0])
    jobs = [Job(case, tuple(one.entry(case.scale, allow_resize) for one in members)) for case in cases]
    scores: list[Score] = []
    for done, found in enumerate(score_jobs(jobs, numbers, str(place), workers), start=1):
        scores += found
        if progress is not None:
            progress(done, len(jobs))
    settings = {
        "histoscale": version("histoscale"),
        "models": {
            name: {"source": source, "sha256": weights.card(source).sha256} for name, source in sources
        },
        "data": {"source": str(data), "sets": list(sets), "split": split, "limit": limit, "crop_px": crop_px},
        "device": str(place),
        "precision": numbers,
    }
    write_results(scores, settings, output)
    return scores


def name_models(models: Sequence[str | Path]) -> Sources:
    """A short name for each model, and what to load it from.

    Raises:
        ConfigError: if two would have the same name in the tables.
    """
    sources = [str(model) for model in models if str(model) != BICUBIC]
    names = [Path(source).stem if source.endswith(".safetensors") else source for source in sources]
    for name in names:
        if names.count(name) > 1 or name == BICUBIC:
            raise ConfigError(f"Wanted a name of its own for each model beside bicubic, got {name} again.")
    return tuple(zip(names, sources, strict=True))


def write_results(scores: Sequence[Score], settings: Mapping[str, object], output: Path) -> None:
    """Write `FILES`: scores an image, tables made from them, and summaries with how they were come by.

    All are complete before one of them appears.

    Raises:
        OutputError: if the folder cannot be written.
    """
    content = {"settings": settings, "summaries": plain_summaries(scores)}
    table, tables, summary = FILES
    texts = {tables: markdown(scores), summary: json.dumps(content, indent=2) + "\n"}
    with atomic_files(output) as folder:
        write_rows(folder / table, Score, scores)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
