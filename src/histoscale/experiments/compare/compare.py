"""``histoscale compare``: score many models on the same images, and make tables of their scores alone."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from histoscale.data.manifest import find_images
from histoscale.experiments.compare.comparison import Comparison, compared, find_reference
from histoscale.experiments.compare.frechet import FeatureStore, measure, read_distances, together
from histoscale.experiments.compare.latex import latex
from histoscale.experiments.compare.paper_tables import Preset, find_presets, scales_of
from histoscale.experiments.compare.report import as_json, markdown
from histoscale.experiments.compare.results import (
    DISTANCES,
    FEATURES,
    TABLES,
    ScoreFolder,
    in_order,
    of_these_weights,
    place_of,
    remaining,
    still_good,
)
from histoscale.experiments.frechet_distance import PATCH_PX, ExtractorName
from histoscale.experiments.images import check_sizes, plan, spread
from histoscale.experiments.methods import check_seeds, label_of, line_up
from histoscale.experiments.scores import BICUBIC, Score, read_scores
from histoscale.experiments.scoring import Job, score_jobs
from histoscale.files import lock
from histoscale.resources import PrecisionChoice, find_device, find_precision

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every case with the number done and their total."""


def compare(
    models: Sequence[str],
    data: Path,
    output: Path,
    presets: Sequence[Preset],
    *,
    reference: str | None = None,
    sets: Sequence[str] = (),
    split: str = "test",
    degradations: Sequence[str] = ("B",),
    limit: int | None = None,
    crop_px: int | None = None,
    allow_resize: bool = False,
    precision: PrecisionChoice = "fp32",
    device: str = "auto",
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    extractor: ExtractorName = "tissue",
    inception_weights: Path | None = None,
    patch_px: int = PATCH_PX,
    undertrained: Sequence[str] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Score models at the scales of some presets, and write scores and tables into ``output``.

    Args:
        models: ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS`` or weights, see `lineup`; bicubic is always there.
        presets: columns of the tables, see `find_presets`.
        reference: label of the row that the others are tested against; the last one by default.
        resume: go on with the rows in ``output``: of a stopped comparison, or of one that models or scales
            are added to.
        extractor, inception_weights, patch_px: features of the Frechet distance and side of the patches they
            are of, where a preset has it.
        undertrained: labels of rows that are marked as having seen too little.
        data, sets, split, degradations, limit, crop_px, allow_resize, precision, device, workers, overwrite,
            progress: as of `histoscale.experiments.evaluate.evaluate`.

    Raises:
        ConfigError: if models, reference, degradation, device or precision are wrong.
        DataError: if there is no image, no such set or split, or the rows gone on with do not fit.
        WeightsError: if weights are missing or damaged, those of the features included.
        InputError: if an image is too small to be scored at a scale.
        OutputError: if results are there already, are of other settings or cannot be written.
    """
    records = spread(find_images(data, sets, split), limit)
    cases = plan(records, scales_of(presets), degradations, crop_px)
    check_sizes(cases)
    place = find_device(device)
    numbers = find_precision(precision, place)
    members = line_up(models, str(place))
    settings: dict[str, Any] = {
        "histoscale": version("histoscale"),
        **{"data": str(data), "split": split, "limit": limit, "crop_px": crop_px},
        **{"device": str(place), "precision": numbers},
    }
    folder = ScoreFolder(output)
    if not (resume or overwrite):
        folder.refuse_results()
    with lock(output):
        earlier = folder.earlier_rows(settings) if resume else []
        jobs = [Job(case, tuple(one.entry(case.scale, allow_resize) for one in members)) for case in cases]
        rows = still_good(earlier, jobs, members)
        settings["undertrained"] = marks = marks_of(folder, rows, undertrained)
        names = [BICUBIC, *(row.model for row in rows), *(member.name for member in members)]
        reference = find_reference([label_of(name) for name in names], reference)
        check_seeds(names)
        store = FeatureStore(
            output / FEATURES, frechet_scales(presets), extractor, inception_weights, str(place), patch_px
        )
        measured = [job for job in jobs if store.wants(job)]
        if measured:
            store.load()  # says what is wrong with it before the hours of work, not after
        before = of_these_weights(folder.earlier_distances(), members) if resume else []
        if not resume:
            folder.forget_features()
        left = remaining(jobs, rows, store)
        there = {place_of(row) for row in rows}
        for done, found in enumerate(score_jobs(left, numbers, str(place), workers, store.watch), start=1):
            if done == 1:
                folder.begin(settings, rows)
            new = [row for row in found if place_of(row) not in there]
            folder.add(new)
            rows += new
            if progress is not None:
                progress(len(jobs) - len(left) + done, len(jobs))
        rows = in_order(rows, jobs)
        distances = together(before, measure(measured, store))
        comparison = compared(rows, presets, reference, distances, marks)
        folder.finish(settings, rows, distances, texts_of(comparison))
    return comparison


def compare_again(
    scores: Path,
    output: Path,
    presets: Sequence[Preset] = (),
    *,
    reference: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Make the tables of ``scores``, a CSV of a comparison or evaluation, from nothing else.

    Where Frechet distances and settings lie beside them, of these as well.

    Args:
        presets: columns of the tables; where none are given, all scales that are there.
        overwrite: replace tables in ``output``.

    Raises:
        DataError: if the scores cannot be read or do not go together.
        ConfigError: if there is no such row to test against.
        OutputError: if tables are there already or cannot be written.
    """
    rows = read_scores(scores)
    if not presets:
        presets = find_presets((), [row.scale for row in rows]) if rows else ()
    beside = scores.with_name(DISTANCES)
    distances = read_distances(beside) if beside.exists() else []
    marked = ScoreFolder(scores.parent).undertrained
    comparison = compared(rows, presets, reference, distances, marked)
    folder = ScoreFolder(output)
    if not overwrite:
        folder.refuse_tables()
    folder.write_tables(texts_of(comparison))
    return comparison


def marks_of(folder: ScoreFolder, rows: Sequence[Score], undertrained: Sequence[str]) -> list[str]:
    """Labels to be marked: those of before whose rows are still there, and the new ones."""
    as_before = {label_of(row.model) for row in rows}
    earlier = [label for label in folder.undertrained if label in as_before]
    return list(dict.fromkeys([*earlier, *undertrained]))


def frechet_scales(presets: Sequence[Preset]) -> frozenset[float]:
    """Those of the presets that have the Frechet distance."""
    return frozenset(scale for preset in presets if preset.has_frechet for scale in preset.scales)


def texts_of(comparison: Comparison) -> dict[str, str]:
    """The content of `TABLES`."""
    return dict(zip(TABLES, (markdown(comparison), latex(comparison), as_json(comparison)), strict=True))
