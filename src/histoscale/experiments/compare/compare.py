"""``histoscale compare``: score many methods on the same images, and make tables from the scores alone."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import Any

from histoscale.experiments.compare.comparison import Comparison, compared, find_reference
from histoscale.experiments.compare.features import SHIPPED_FEATURES, FeatureChoice, FeatureStore
from histoscale.experiments.compare.frechet import Distance, measure, merged, read_distances
from histoscale.experiments.compare.paper_tables import PRESETS, Preset, find_presets, scales_of
from histoscale.experiments.compare.report import latex, markdown
from histoscale.experiments.images import ImageSelection
from histoscale.experiments.methods import BICUBIC, check_seeds, label_of, read_methods
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import ResultFolder, rows_as_text
from histoscale.experiments.scoring import (
    Score,
    digests_of,
    plan_jobs,
    read_scores,
    score_remaining,
    still_valid,
)
from histoscale.files import refuse_existing
from histoscale.resources import EXACT, Compute

TABLES, LATEX, DISTANCES, FEATURES = "tables.md", "tables.tex", "frechet.csv", "features"
"""Files beside scores and settings; the LaTeX only if it was asked for."""
OLD_TABLES = "tables.json"
"""Figures, presets and reference as earlier versions wrote them."""
SHARED = ("data", "split", "limit", "crop_px", "device", "precision")
"""Settings that all rows of a comparison have in common."""


def compare(
    models: Sequence[str],
    images: ImageSelection,
    output: Path,
    presets: Sequence[Preset],
    *,
    reference: str | None = None,
    allow_resize: bool = False,
    compute: Compute = EXACT,
    features: FeatureChoice = SHIPPED_FEATURES,
    undertrained: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: OnProgress = ignore_progress,
) -> Comparison:
    """Score methods at the scales of some presets, and write scores, settings and tables.

    Args:
        models: ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS`` or weights, see `histoscale.experiments.methods`;
            bicubic is always included.
        output: folder for the results.
        presets: columns of the tables, see `find_presets`.
        reference: label of the row that the others are tested against; the last row by default.
        allow_resize: let bicubic resize images of fixed-scale models to other scales.
        features: of the Frechet distance, if a preset has it.
        undertrained: labels of rows that are marked as undertrained.
        resume: add methods or scales to the rows in ``output``, of a stopped or of a finished comparison.
        overwrite: replace the results of an earlier comparison.
        progress: called after every case.

    Raises:
        ConfigError: if methods, reference, degradation, device or precision are wrong.
        DataError: if there is no image, no such data set or split, or the resumed rows do not fit.
        WeightsError: if weights are missing or damaged, including those of the features.
        InputError: if an image is too small to be scored at a scale.
        OutputError: if results exist, were made with other settings or cannot be written.
    """
    cases = images.cases(scales_of(presets))
    device, precision = compute.resolve()
    methods = read_methods(models, device)
    jobs = plan_jobs(cases, methods, allow_resize)
    settings = {
        **{"histoscale": version("histoscale"), "data": str(images.data), "split": images.split},
        **{"limit": images.limit, "crop_px": images.crop_px, "device": str(device), "precision": precision},
        **_columns(presets),
    }
    folder = ResultFolder(output, Score)
    with folder.opened(settings, SHARED, resume=resume, overwrite=overwrite, others=(TABLES,)) as earlier:
        rows = still_valid(earlier, jobs, methods)
        names = [BICUBIC, *(row.model for row in rows), *(method.name for method in methods)]
        settings["reference"] = find_reference([label_of(name) for name in names], reference)
        settings["undertrained"] = _marked(folder.read_settings(), rows, undertrained)
        check_seeds(names)
        store = FeatureStore(output / FEATURES, frechet_scales(presets), features, str(device))
        measured = [job for job in jobs if store.covers(job)]
        if measured:
            store.load()  # so that wrong weights are an error before the hours of work, not after
        if not resume:
            rmtree(store.path, ignore_errors=True)  # they may be of other images
        rows = score_remaining(
            folder, settings, rows, jobs, compute, missing=store.missing, watch=store.watch, progress=progress
        )
        before = read_distances(output / DISTANCES) if resume else []
        distances = merged(before, measure(measured, store), digests_of(methods))
        comparison = compared(rows, presets, settings["reference"], distances, settings["undertrained"])
        folder.finish(rows, settings, _texts(comparison))
        folder.delete(*({LATEX, OLD_TABLES} | ({DISTANCES} if not distances else set())))
    return comparison


def compare_again(
    scores: Path,
    output: Path,
    presets: Sequence[Preset] = (),
    *,
    reference: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Make the tables of a comparison or evaluation again from its scores alone, and write them.

    Args:
        scores, presets, reference: as in `read_comparison`.
        output: folder of the tables.
        overwrite: replace tables in ``output``.

    Raises:
        DataError, ConfigError: as `read_comparison`.
        OutputError: if tables exist or cannot be written.
    """
    comparison = read_comparison(scores, presets, reference)
    folder = ResultFolder(output, Score)
    if not overwrite:
        refuse_existing(output / TABLES)
    folder.write({TABLES: markdown(comparison)})
    return comparison


def read_comparison(scores: Path, presets: Sequence[Preset] = (), reference: str | None = None) -> Comparison:
    """Make a comparison from scores, and from the Frechet distances and settings beside them.

    Args:
        scores: CSV of a comparison or an evaluation.
        presets: columns of the tables; by default those of the settings, or else all scales of the scores.
        reference: label of the row that the others are tested against; by default that of the settings, or
            else the last row.

    Raises:
        DataError: if the scores cannot be read or are not of one comparison.
        ConfigError: if there is no such row.
    """
    rows = read_scores(scores)
    settings = _settings_beside(scores)
    if not presets:
        names = [name for name in settings.get("presets", ()) if name in PRESETS]
        scales = settings.get("scales") or ([] if names else [row.scale for row in rows])
        presets = find_presets(names, scales) if rows else ()
    labels = {label_of(row.model) for row in rows}
    if reference is None and settings.get("reference") in labels:
        reference = settings["reference"]
    distances = read_distances(scores.with_name(DISTANCES))
    return compared(rows, presets, reference, distances, settings.get("undertrained", ()))


def write_latex(comparison: Comparison, output: Path) -> None:
    """Write the tables of a comparison in LaTeX as well.

    Raises:
        OutputError: if they cannot be written.
    """
    ResultFolder(output, Score).write({LATEX: latex(comparison)})


def frechet_scales(presets: Sequence[Preset]) -> frozenset[float]:
    """List the scales at which the Frechet distance is measured."""
    return frozenset(scale for preset in presets if preset.has_frechet for scale in preset.scales)


def _columns(presets: Sequence[Preset]) -> dict[str, Any]:
    """Describe presets in the settings: their names, and the scales of a preset without a name."""
    return {
        "presets": [preset.name for preset in presets if preset.name in PRESETS],
        "scales": [scale for preset in presets if preset.name not in PRESETS for scale in preset.scales],
    }


def _marked(settings: Mapping[str, Any], rows: Sequence[Score], undertrained: Sequence[str]) -> list[str]:
    """List the labels to be marked as undertrained: earlier ones whose rows are still valid, and new ones."""
    valid = {label_of(row.model) for row in rows}
    earlier = [label for label in settings.get("undertrained", ()) if label in valid]
    return list(dict.fromkeys([*earlier, *undertrained]))


def _texts(comparison: Comparison) -> dict[str, str]:
    """Write the files beside scores and settings."""
    texts = {TABLES: markdown(comparison)}
    if comparison.distances:
        texts[DISTANCES] = rows_as_text(Distance, comparison.distances)
    return texts


def _settings_beside(scores: Path) -> dict[str, Any]:
    """Read the settings beside some scores; empty if there are none."""
    folder = ResultFolder(scores.parent, Score)
    settings = folder.read_settings()
    if "presets" not in settings:
        # Earlier versions wrote presets, reference and one tuple of scales per table into another file.
        before = ResultFolder(scores.parent, Score, settings=OLD_TABLES).read_settings()
        scales = [scale for scales in before.get("scales", ()) for scale in scales]
        settings |= {key: before[key] for key in ("presets", "reference") if key in before}
        settings |= {"scales": scales} if scales else {}
    return settings
