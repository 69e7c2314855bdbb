"""Models in a comparison, and their scores: a case after the other, or several at once in processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import NamedTuple, TypeAlias

import torch

from histoscale import weights
from histoscale.errors import HistoscaleError
from histoscale.experiments.images import Case, Enlarged, Picture, score_case
from histoscale.experiments.methods import Entry
from histoscale.experiments.scores import BICUBIC, Score
from histoscale.inference import Precision
from histoscale.models.any_scale import at_any_scale
from histoscale.models.base import SuperResolver


class Job(NamedTuple):
    """One case and who is to be scored on it beside bicubic."""

    case: Case
    entries: tuple[Entry, ...]


Watch: TypeAlias = Callable[[Job, Picture, Iterator[Enlarged]], Iterator[Enlarged]]
"""As of `score_case`, told the job as well; it can be pickled."""


def score_jobs(
    jobs: Sequence[Job],
    precision: Precision = "fp32",
    device: str = "cpu",
    workers: int = 1,
    watch: Watch | None = None,
) -> Iterator[list[Score]]:
    """The scores of each job, in order.

    Args:
        watch: a stage that what is made passes through, in the process that makes it.
        workers: processes, one thread each; 1 stays in this process with the threads it has.

    Raises:
        DataError, InputError: as `score_case` does.
        WeightsError: if weights are missing or damaged.
        HistoscaleError: if a worker was ended from outside.
    """
    sources = tuple(dict.fromkeys(entry.file.source for job in jobs for entry in job.entries))
    score = partial(_score, sources=sources, precision=precision, device=device, watch=watch)
    if workers <= 1:
        yield from map(score, jobs)
        return
    yield from _in_processes(score, jobs, workers)


def _in_processes(
    score: Callable[[Job], list[Score]], jobs: Sequence[Job], workers: int
) -> Iterator[list[Score]]:
    context = get_context("spawn")  # a forked child inherits torch's locked thread pool
    pool = ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(score, jobs)
    except BrokenProcessPool:
        raise HistoscaleError(
            "A worker process was ended from outside, probably for want of memory."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _score(
    job: Job, sources: tuple[str, ...], precision: Precision, device: str, watch: Watch | None
) -> list[Score]:
    loaded = _load(sources, device)
    models = {
        e.model: at_any_scale(loaded[e.file.source]) if e.through else loaded[e.file.source]
        for e in job.entries
    }
    used = {entry.model: entry for entry in job.entries}
    return [
        score
        if score.model == BICUBIC
        else replace(score, weights=used[score.model].file.digest, through=used[score.model].through)
        for score in score_case(job.case, models, precision, device, watch and partial(watch, job))
    ]


@lru_cache(maxsize=1)
def _load(sources: tuple[str, ...], device: str) -> dict[str, SuperResolver]:
    """The models, once a process."""
    return {source: weights.load(source, device) for source in sources}
