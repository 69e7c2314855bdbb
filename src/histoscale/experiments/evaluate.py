"""``histoscale evaluate``: PSNR and SSIM of methods and of bicubic at any scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from histoscale.experiments.images import ImageSelection
from histoscale.experiments.methods import BICUBIC, read_methods
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.results import ResultFolder
from histoscale.experiments.scoring import (
    MEASURES,
    Score,
    groups_of,
    plan_jobs,
    score_remaining,
    still_valid,
)
from histoscale.experiments.statistics import Figures, Grid, mean
from histoscale.experiments.tables import (
    TextCell,
    TextTable,
    count,
    markdown_document,
    mean_sd,
    number,
    signed,
)
from histoscale.resources import EXACT, Compute

SCALES = (1.5, 2.0, 2.4, 3.0, 3.3, 4.0, 4.2, 5.1, 6.0, 8.0)
"""All scales of the paper's Tables 1 and 2."""
DEGRADATIONS = ("B", "none")
TABLES = "tables.md"
"""File beside scores and settings, made from the scores alone."""
SHARED = ("data", "device", "precision")
"""Settings that all rows of an evaluation have in common."""


def evaluate(
    models: Sequence[str | Path],
    images: ImageSelection,
    output: Path,
    *,
    scales: Sequence[float] = SCALES,
    allow_resize: bool = False,
    compute: Compute = EXACT,
    resume: bool = False,
    overwrite: bool = False,
    progress: OnProgress = ignore_progress,
) -> list[Score]:
    """Score methods on images, and write scores, settings and tables.

    Args:
        models: weights or ``LABEL=WEIGHTS``, see `histoscale.experiments.methods`; bicubic is always added.
        output: folder for the results.
        scales: any real numbers of at least 1.
        allow_resize: let bicubic resize images of fixed-scale models to other scales.
        resume: add to the scores of a stopped or finished evaluation.
        overwrite: replace the results of an earlier evaluation.
        progress: called after every case.

    Returns:
        One score for each image, degradation, scale and method.

    Raises:
        DataError: if there is no image, or no such data set or split.
        ScaleError: if a scale is below 1 or no number.
        ConfigError: if a degradation, device or precision is unknown or two methods share a name.
        WeightsError: if weights are missing or damaged.
        InputError: if an image is too small to be scored at a scale.
        OutputError: if results exist, were made with other settings or cannot be written.
    """
    cases = images.cases(scales)
    device, precision = compute.resolve()
    methods = read_methods(models, device)
    folder = ResultFolder(output, Score)
    settings = {
        "histoscale": version("histoscale"),
        "models": {one.name: {file.source: file.digest for file in one.files} for one in methods},
        "data": {
            "source": str(images.data),
            "sets": list(images.sets),
            "split": images.split,
            "limit": images.limit,
            "crop_px": images.crop_px,
        },
        "device": str(device),
        "precision": precision,
    }
    with folder.opened(settings, SHARED, resume=resume, overwrite=overwrite, others=(TABLES,)) as earlier:
        jobs = plan_jobs(cases, methods, allow_resize)
        valid = still_valid(earlier, jobs, methods)
        scores = score_remaining(folder, settings, valid, jobs, compute, progress=progress)
        folder.finish(scores, settings, {TABLES: markdown(scores)})
    return scores


# The scores as tables.


@dataclass(frozen=True)
class Summary:
    """One row of a table: a method on a group of images at one scale and degradation.

    Attributes:
        mean, sd: one figure for each of `MEASURES`; the deviation is NaN for one image.
        gain_shaved, gain_whole: mean gain of PSNR over bicubic on the same images, in decibels.
        below: number of images whose PSNR is below bicubic's in either protocol.
        through: as in `Score`.
    """

    group: str
    degradation: str
    scale: float
    model: str
    n: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    gain_shaved: float
    gain_whole: float
    below: int
    through: int = 0


def summarise(scores: Sequence[Score]) -> list[Summary]:
    """Make one `Summary` for each group, degradation, scale and method."""
    summaries = []
    for group, members in groups_of(scores).items():
        for degradation, scale in sorted({(score.degradation, score.scale) for score in members}):
            some = [s for s in members if (s.degradation, s.scale) == (degradation, scale)]
            grid = Grid.of((s.model, name, 0, s.image, getattr(s, name)) for s in some for name in MEASURES)
            through = {score.model: score.through for score in some}
            summaries += [
                _summarise(group, degradation, scale, model, grid, through[model]) for model in grid.rows
            ]
    return summaries


def _summarise(
    group: str, degradation: str, scale: float, model: str, grid: Grid[str, str], through: int
) -> Summary:
    shaved, whole = (
        _gains(grid.by_image(model, name), grid.by_image(BICUBIC, name)) for name in MEASURES[:2]
    )
    return Summary(
        group=group,
        degradation=degradation,
        scale=scale,
        model=model,
        n=len(grid.by_seed(model, MEASURES[0])[0]),
        mean=tuple(grid.mean(model, name) for name in MEASURES),
        sd=tuple(grid.deviation(model, name) for name in MEASURES),
        gain_shaved=mean(shaved.values()),
        gain_whole=mean(whole.values()),
        below=sum(shaved[image] < 0 or whole[image] < 0 for image in shaved),
        through=through,
    )


def _gains(own: Figures, bicubic: Figures) -> Figures:
    """Compute the gain of each image over bicubic."""
    # The PSNR of an image that equals the ground truth is infinite; two of these have a gain of 0.
    return {
        image: 0.0 if own[image] == bicubic[image] else own[image] - bicubic[image]
        for image in own
        if image in bicubic
    }


def markdown(scores: Sequence[Score]) -> str:
    """Write the tables of an evaluation: the gains over bicubic, then every figure, group by group."""
    summaries = summarise(scores)
    keys = dict.fromkeys((s.group, s.degradation) for s in summaries)
    full = [full_table([s for s in summaries if (s.group, s.degradation) == key]) for key in keys]
    return markdown_document([gain_table(summaries).markdown(), *(table.markdown() for table in full)])


def gain_table(summaries: Sequence[Summary]) -> TextTable:
    """Make the table of PSNR and its gain over bicubic: a row for each group, degradation and method."""
    scales = sorted({s.scale for s in summaries})
    rows: list[list[str]] = []
    for key in dict.fromkeys((s.group, s.n, s.degradation, s.model) for s in summaries if s.model != BICUBIC):
        by_scale = {s.scale: s for s in summaries if (s.group, s.n, s.degradation, s.model) == key}
        cells = [_gain(by_scale[scale]) if scale in by_scale else "-" for scale in scales]
        rows.append([*map(str, key), *cells])
    remarks = []
    if any(s.below for s in summaries):
        remarks.append("† below bicubic on at least one image, in either protocol.")
    if any(s.through for s in summaries):
        remarks.append("‡ a fixed-scale model's image, resized by bicubic.")
    return TextTable(
        heads=["images", "n", "degradation", "model", *(f"x{scale:g}" for scale in scales)],
        rows=rows,
        caption="PSNR of the whole image in dB and, in brackets, the gain over bicubic",
        legend="\n\n".join(remarks),
    )


def full_table(summaries: Sequence[Summary]) -> TextTable:
    """Make the table of one group: all measures, the gains and the number of images below bicubic."""
    first = summaries[0]
    return TextTable(
        heads=[
            *("scale", "model", "PSNR shaved", "PSNR whole", "SSIM 7x7", "SSIM Gaussian"),
            *("gain shaved", "gain whole", "below bicubic"),
        ],
        rows=[[f"x{s.scale:g}", _name(s), *_measures(s), *_against_bicubic(s)] for s in summaries],
        caption=f"{first.group} ({count(first.n, 'image')}), degradation {first.degradation}",
    )


def _measures(summary: Summary) -> list[str]:
    return [mean_sd(m, sd, n) for m, sd, n in zip(summary.mean, summary.sd, (2, 2, 4, 4), strict=True)]


def _against_bicubic(summary: Summary) -> list[str | TextCell]:
    """Write both gains and the number of images below bicubic; nothing for bicubic itself."""
    if summary.model == BICUBIC:
        return ["", "", ""]
    below = TextCell(f"{summary.below} of {summary.n}", is_bold=True) if summary.below else "0"
    return [signed(summary.gain_shaved, 2), signed(summary.gain_whole, 2), below]


def _name(summary: Summary) -> str:
    """Write the method's name, and the scale that its image was resized from."""
    return f"{summary.model} (x{summary.through}, bicubic)" if summary.through else summary.model


def _gain(summary: Summary) -> str:
    if math.isnan(summary.mean[1]):
        return "-"
    marks = ("†" if summary.below else "") + ("‡" if summary.through else "")
    return f"{number(summary.mean[1], 2)} ({signed(summary.gain_whole, 2)}){marks}"
