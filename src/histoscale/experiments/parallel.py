"""Jobs side by side, each in a process of one thread; none outlives whoever asked for them."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from histoscale.errors import HistoscaleError

Job = TypeVar("Job")
Result = TypeVar("Result")
TICK_S = 1.0


def side_by_side(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    done: Callable[[Result], None],
    tick: Callable[[], None],
) -> None:
    """Carry out every job.

    Args:
        work: can be sent to another process; with one worker it is called in this one.
        done: called with each result as it comes, in this process.
        tick: called every second while others work.

    Raises:
        HistoscaleError: what ``work`` raises, or if a process was ended from outside.
    """
    if workers <= 1:
        for job in jobs:
            done(work(job))
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a forked child inherits torch's locked thread pool
    pool = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        waiting = {pool.submit(work, job) for job in jobs}
        while waiting:
            ended, waiting = wait(waiting, TICK_S, FIRST_COMPLETED)
            for future in ended:
                done(future.result())
            tick()
    except BrokenProcessPool:
        raise HistoscaleError(
            "A worker process was ended from outside, probably for want of memory."
        ) from None
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """One thread each; Ctrl-C reaches all processes, and it is for the first to end the others."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
