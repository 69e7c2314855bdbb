"""Scores of methods on images: a row for each image, degradation, scale and method, and which are missing.

Scores follow two protocols: that of the official code (floats, border shaved) and that of the equations
(bytes, whole image). Bicubic is scored as the models are.
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
    """One method on one image, one degradation and scale; NaN if the method cannot make the scale.

    Attributes:
        model: name of the method.
        weights: the first digits of the sha256 of its weights; empty for bicubic and in older tables.
        through: the scale that a fixed-scale model made before bicubic resized the image; 0 if the model made
            the final size itself.
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
        """The method and the case of the score."""
        return Place(self.dataset, self.image, self.degradation, self.scale, self.model)


class Place(NamedTuple):
    """One method on one case; there is one score for each."""

    dataset: str
    image: str
    degradation: str
    scale: float
    model: str


def read_scores(path: Path) -> list[Score]:
    """Read the scores that an evaluation or a comparison wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Score)


def groups_of(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Group scores by data set and, if a data set has several preparations, also by each of these."""
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
    """One case, and the methods that are scored on it beside bicubic."""

    case: Case
    methods: tuple[MethodAtScale, ...]


Watch: TypeAlias = Callable[[ScoringJob, RgbImage, Iterator[Upscaled]], Iterator[Upscaled]]
"""Is given a job, its ground truth and the images of the methods, and passes these on. It can be pickled."""


def plan_jobs(cases: Sequence[Case], methods: Sequence[Method], allow_resize: bool) -> list[ScoringJob]:
    """Plan every method on every case.

    Args:
        allow_resize: let bicubic resize images of fixed-scale models to other scales.
    """
    return [ScoringJob(case, tuple(one.at(case.scale, allow_resize) for one in methods)) for case in cases]


def score_jobs(
    jobs: Sequence[ScoringJob], compute: Compute, watch: Watch | None = None
) -> Iterator[list[Score]]:
    """Score each job, in parallel.

    Args:
        watch: sees the images of the methods, in the process that makes them.

    Raises:
        InputError: if an image cannot be read or is too small to be scored.
        WeightsError: if weights are missing or damaged.
        HistoscaleError: if a worker process was killed.
    """
    device, precision = compute.resolve()
    work = partial(score_job, precision=precision, device=str(device), watch=watch)
    return run_jobs(work, jobs, compute.workers)


def score_job(
    job: ScoringJob, precision: Precision = "fp32", device: str = "cpu", watch: Watch | None = None
) -> list[Score]:
    """Score bicubic and then each method on one case; see `score_jobs`."""
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
    """Score bicubic and then each model on one case; NaN if a model cannot make the size.

    Args:
        models: by name.
        watch: is given the ground truth and the images of the methods, and passes these on.

    Raises:
        InputError: if the image cannot be read or is too small to be scored.
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


# Resuming: which rows of an earlier run are valid, and which jobs are left. A method with other weights is
# another method.


class MadeWith(NamedTuple):
    """The weights of a score and how they were used, as in `Score`."""

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

    The folder is not changed before the first new row.

    Args:
        rows: of an earlier run, see `still_valid`.
        missing: names further methods that a job is done for.
        watch: as in `score_jobs`.

    Returns:
        The rows of both runs, in the order of a single run.
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
    """Keep the earlier rows, except those of methods with other weights or another use of them."""
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
    """List the digests of each method's weights, at all scales, by name."""
    return {method.name: {file.digest for file in method.files} for method in methods}


def remaining(
    jobs: Sequence[ScoringJob],
    rows: Sequence[Score],
    missing: Callable[[ScoringJob], Collection[str]] | None = None,
) -> list[ScoringJob]:
    """List the jobs that lack a row, each with the methods that lack one.

    Args:
        missing: names further methods that a job is done for.
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
    """Sort rows: first those that are no longer asked for, then the others in the order of the jobs."""
    order = {place: i for i, place in enumerate(place for job in jobs for place, _ in _places(job))}
    return sorted(rows, key=lambda row: order.get(row.place, -1))


def _places(job: ScoringJob) -> Iterator[tuple[Place, MadeWith]]:
    """List every score of a job, in order."""
    about = (job.case.record.set, job.case.record.id, job.case.degradation, job.case.scale)
    yield Place(*about, BICUBIC), MadeWith()
    for method in job.methods:
        yield Place(*about, method.name), MadeWith(method.file.digest, method.through)
