"""Jobs in parallel, in processes of one thread each, which end with the process that started them."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeAlias, TypeVar

import torch

from histoscale.errors import HistoscaleError

Job = TypeVar("Job")
Result = TypeVar("Result")
OnProgress: TypeAlias = Callable[[float, str], None]
"""Called with the share of a stage that is finished, from 0 to 1, and the name of the stage."""
TICK_S = 1.0


def ignore_progress(share: float, stage: str) -> None:
    """Report nothing."""


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    tick: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Do every job, and yield each result when it is ready: with several workers in any order.

    Args:
        work: can be sent to another process. With one worker it is called in this process, with all its
            threads.
        workers: number of processes of one thread.
        tick: called every second while the workers are busy.

    Raises:
        HistoscaleError: what ``work`` raises, or if a worker process was killed.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a forked child inherits torch's locked thread pool
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker)
    try:
        waiting = {pool.submit(work, job) for job in jobs}
        while waiting:
            ended, waiting = wait(waiting, TICK_S, FIRST_COMPLETED)
            for future in ended:
                yield future.result()
            if tick is not None:
                tick()
    except BrokenProcessPool:
        raise HistoscaleError(
            "A worker process was killed, probably out of memory: use fewer --workers."
        ) from None
    except BaseException:  # Ctrl-C, an error in a job, or a caller that stops reading
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Use one thread, and leave Ctrl-C, which reaches all processes, to the process that started this one."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
