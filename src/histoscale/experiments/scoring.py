"""Scores of methods on images: one row for each image, degradation, scale and method, and what is left to do.

Two protocols stand side by side: the official code's (floats, border shaved) and the equations' (bytes, whole
image). Bicubic is scored as models are.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from histoscale.errors import InputError
from histoscale.experiments.images import Case, RgbImage, Upscaled, upscale_each
from histoscale.experiments.methods import BICUBIC, Method, MethodAtScale
from histoscale.experiments.parallel import OnProgress, ignore_progress, run_jobs
from histoscale.experiments.results import ResultFolder, read_rows
from histoscale.metrics.psnr import psnr_shaved, psnr_whole
from histoscale.metrics.ssim import ssim, ssim_gaussian
from histoscale.models.any_scale import at_any_scale
from histoscale.models.base import SuperResolver
from histoscale.resources import Compute, Precision

MEASURES = ("psnr_shaved", "psnr_whole", "ssim", "ssim_gaussian")
"""The measures of a `Score`, in the order of the columns."""


@dataclass(frozen=True)
class Score:
    """One image, one way of making its low-resolution side, one method; NaN where the method cannot.

    Attributes:
        model: name of the method.
        weights: the first digits of the sha256 of its weights; empty for bicubic and older tables.
        through: the scale that a fixed-scale model made before bicubic took that to size; 0 where the model
            made the size itself.
    """

    dataset: str
    prep: str
    image: str
    degradation: str
    scale: float
    model: str
    psnr_shaved: float
    psnr_whole: float
    ssim: float
    ssim_gaussian: float
    weights: str = ""
    through: int = 0

    @property
    def place(self) -> "Place":
        """Where the score belongs."""
        return Place(self.dataset, self.image, self.degradation, self.scale, self.model)


class Place(NamedTuple):
    """Where a score belongs: one method on one case."""

    dataset: str
    image: str
    degradation: str
    scale: float
    model: str


def read_scores(path: Path) -> list[Score]:
    """The scores that an evaluation or a comparison wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Score)


def groups_of(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """The scores of each data set and, where it holds several preparations, of each of those; by name."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.dataset, []).append(score)
    for name, members in list(groups.items()):
        preps = dict.fromkeys(score.prep for score in members)
        if len(preps) > 1:
            groups |= {f"{name}, {prep}": [s for s in members if s.prep == prep] for prep in preps}
    return dict(sorted(groups.items()))


# Scoring.


class ScoringJob(NamedTuple):
    """One case, and the methods to be scored on it beside bicubic."""

    case: Case
    methods: tuple[MethodAtScale, ...]


Watch: TypeAlias = Callable[[ScoringJob, RgbImage, Iterator[Upscaled]], Iterator[Upscaled]]
"""Given a job, its ground truth and what the methods make of it; passes the latter on. It can be pickled."""


def plan_jobs(cases: Sequence[Case], methods: Sequence[Method], allow_resize: bool) -> list[ScoringJob]:
    """Every method on every case.

    Args:
        allow_resize: take fixed-scale models to other scales by bicubic.
    """
    return [ScoringJob(case, tuple(one.at(case.scale, allow_resize) for one in methods)) for case in cases]


def score_jobs(
    jobs: Sequence[ScoringJob], compute: Compute, watch: Watch | None = None
) -> Iterator[list[Score]]:
    """The scores of each job as soon as they are found.

    Args:
        watch: a stage that what is made passes through, in the process that makes it.

    Raises:
        InputError: if an image cannot be read.
        InputError: if an image is too small to be scored.
        WeightsError: if weights are missing or damaged.
        HistoscaleError: if a worker process was killed.
    """
    device, precision = compute.resolve()
    work = partial(score_job, precision=precision, device=str(device), watch=watch)
    return run_jobs(work, jobs, compute.workers)


def score_job(
    job: ScoringJob, precision: Precision = "fp32", device: str = "cpu", watch: Watch | None = None
) -> list[Score]:
    """The scores of bicubic and then of each method on one case, with the weights that made them.

    Raises:
        DataError, InputError, WeightsError: as `score_jobs`.
    """
    used = {method.name: method for method in job.methods}
    models = {name: _model(method, device) for name, method in used.items()}
    scores = score_case(job.case, models, precision, device, watch and partial(watch, job))
    return [
        replace(score, weights=used[score.model].file.digest, through=used[score.model].through)
        if score.model in used
        else score
        for score in scores
    ]


def score_case(
    case: Case,
    models: Mapping[str, SuperResolver],
    precision: Precision = "fp32",
    device: str = "cpu",
    watch: Callable[[RgbImage, Iterator[Upscaled]], Iterator[Upscaled]] | None = None,
) -> list[Score]:
    """The scores of bicubic and then of each model on one case; NaN where a model cannot make the size.

    Args:
        models: by name.
        watch: given the ground truth and what is made of the case; passes the latter on.

    Raises:
        InputError: if the image cannot be read.
        InputError: if the image is too small to be scored.
    """
    lr, truth = case.pair()
    try:
        made = upscale_each(lr, (truth.shape[0], truth.shape[1]), models, precision, device)
        return [_score(case, truth, one) for one in (watch(truth, made) if watch else made)]
    except InputError as error:
        raise InputError(f"{case.record.path} cannot be scored at x{case.scale:g}: {error}") from None


def _model(method: MethodAtScale, device: str) -> SuperResolver:
    model = method.file.load(device)
    return at_any_scale(model) if method.through else model


def _score(case: Case, truth: RgbImage, made: Upscaled) -> Score:
    about = (case.record.set, case.record.prep, case.record.id, case.degradation, case.scale, made.method)
    if made.floats is None or made.bytes is None:
        return Score(*about, math.nan, math.nan, math.nan, math.nan)
    return Score(
        *about,
        psnr_shaved=psnr_shaved(made.floats, truth.astype(np.float32) / 255, case.scale),
        psnr_whole=psnr_whole(made.bytes, truth),
        ssim=ssim(made.bytes, truth),
        ssim_gaussian=ssim_gaussian(made.bytes, truth),
    )


# What is left to do, given the rows of an earlier run: told by weights, not by names alone.


class MadeWith(NamedTuple):
    """What a score was made with, as in `Score`."""

    weights: str = ""
    through: int = 0


def score_remaining(
    folder: ResultFolder[Score],
    settings: Mapping[str, object],
    rows: Sequence[Score],
    jobs: Sequence[ScoringJob],
    compute: Compute,
    *,
    missing: Callable[[ScoringJob], Collection[str]] | None = None,
    watch: Watch | None = None,
    progress: OnProgress = ignore_progress,
) -> list[Score]:
    """Score what has no row yet, and write rows to ``folder`` as they are found.

    The folder stays as it is until the first new row.

    Args:
        rows: of an earlier run, see `still_valid`.
        missing: further methods that a job has to be done for.
        watch: as in `score_jobs`.

    Returns:
        The rows of both runs, as one run writes them.
    """
    rows, there = list(rows), {row.place for row in rows}
    left = remaining(jobs, rows, missing)
    for done, found in enumerate(score_jobs(left, compute, watch), start=1):
        if done == 1:
            folder.begin(rows, settings)
        new = [row for row in found if row.place not in there]
        folder.append(new)
        rows += new
        progress((len(jobs) - len(left) + done) / len(jobs), "scoring")
    return in_order(rows, jobs)


def still_valid(
    earlier: Sequence[Score], jobs: Sequence[ScoringJob], methods: Sequence[Method]
) -> list[Score]:
    """Earlier rows without those of a method whose weights, or use of them, are others now."""
    asked_for = dict(pair for job in jobs for pair in _places(job))
    digests = digests_of(methods)
    valid = []
    for row in earlier:
        made = MadeWith(row.weights, row.through)
        is_known = row.model not in digests or row.weights in digests[row.model]
        if is_known and asked_for.get(row.place, made) == made:
            valid.append(row)
    return valid


def digests_of(methods: Sequence[Method]) -> dict[str, set[str]]:
    """The digests of each method's weights, at whatever scale, by its name."""
    return {method.name: {file.digest for file in method.files} for method in methods}


def remaining(
    jobs: Sequence[ScoringJob],
    rows: Sequence[Score],
    missing: Callable[[ScoringJob], Collection[str]] | None = None,
) -> list[ScoringJob]:
    """The jobs that lack a row, each with the methods that lack one.

    Args:
        missing: further methods that a job has to be done for.
    """
    there = {row.place for row in rows}
    left = []
    for job in jobs:
        lacking = {place.model for place, _ in _places(job) if place not in there}
        lacking |= set(missing(job)) if missing else set()
        if lacking:
            left.append(ScoringJob(job.case, tuple(one for one in job.methods if one.name in lacking)))
    return left


def in_order(rows: Sequence[Score], jobs: Sequence[ScoringJob]) -> list[Score]:
    """Rows that are no longer asked for, then the others as one run without a stop writes them."""
    order = {place: i for i, place in enumerate(place for job in jobs for place, _ in _places(job))}
    return sorted(rows, key=lambda row: order.get(row.place, -1))


def _places(job: ScoringJob) -> Iterator[tuple[Place, MadeWith]]:
    """Every score of a job, in order."""
    about = (job.case.record.set, job.case.record.id, job.case.degradation, job.case.scale)
    yield Place(*about, BICUBIC), MadeWith()
    for method in job.methods:
        yield Place(*about, method.name), MadeWith(method.file.digest, method.through)
