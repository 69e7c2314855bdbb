"""Compute tiles in this process, or in spawned processes with one thread each."""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from histoscale.errors import HistoscaleError, explaining
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.memory import WorkerReport, default_workers
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import TileJob, TileResult

T = TypeVar("T")
Entered = TypeVar("Entered", bound="Executor")

AHEAD = 32
"""Tiles queued for each worker, so that workers compute while the coordinator encodes."""
MOST_LOSSES = 3
"""Number of times that workers may die without a finished tile in between."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt by their names in glibc's malloc.h."""


@runtime_checkable
class Executor(Protocol):
    """Computes tiles; a context manager that ends its workers, whatever happens.

    Attributes:
        workers: how many tiles are computed at once; lowered where memory holds fewer.
    """

    workers: int

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a picklable function on one of the workers and return its result."""

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute tiles, about in the order given, and yield each result when that tile lies in the store.

        A lost worker's tiles are computed again.

        Raises:
            HistoscaleError: if a tile cannot be computed, or workers are lost again and again.
        """

    def __enter__(self: Entered) -> Entered: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ThisProcess:
    """One tile after the other, right here; with one thread, so that the pixels are those of any worker."""

    workers = 1

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call the function here."""
        return function(*arguments)

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute a tile whenever the next result is asked for."""
        for tile in tiles:
            yield compute_alone(job, tile)

    def __enter__(self) -> "ThisProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if opened := sys.modules.get("histoscale.upscaling.tile"):
            opened.open_job.cache_clear()  # close the slide and free the model of a program that lives on


class Processes:
    """Spawned processes that live as long as the block; they load the model once and end with their parent.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int):
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._started_workers = 0

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a picklable function in one of the processes.

        Raises:
            HistoscaleError: if the processes cannot be started.
        """
        try:
            return self._started().submit(call_function, function, *arguments).result()
        except BrokenProcessPool as error:
            raise HistoscaleError(
                "The worker processes ended at once: give them more memory or use --workers 1. In a Python "
                "script, put the call under `if __name__ == '__main__':`."
            ) from error

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute tiles, several at once; processes that die are started again, and their tiles with them."""
        if self._started_workers > self.workers:  # the plan has lowered the number to fit the memory
            self._stop()
        remaining, losses = dict.fromkeys(tiles), 0
        while remaining:
            try:
                for result in self._attempt(job, list(remaining)):
                    del remaining[result.index]
                    losses = 0  # work goes forward, so the losses so far were not those of one tile
                    yield result
            except BrokenProcessPool as error:
                self._stop()
                losses += 1
                if losses == MOST_LOSSES:
                    raise HistoscaleError(
                        f"Worker processes were killed {losses} times in a row, probably out of memory: "
                        "use --resume with fewer --workers."
                    ) from error

    def _attempt(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Yield results until all tiles are done or a process dies."""
        pool, waiting = self._started(), iter(tiles)
        under_way: set[Future[TileResult]] = set()
        while True:
            for tile in islice(waiting, AHEAD * self.workers - len(under_way)):
                under_way.add(pool.submit(compute_in_worker, job, tile))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # A forked process inherits torch's locked thread pool and open files.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, initializer=begin_worker)
            self._started_workers = self.workers
        return self._pool

    def _stop(self) -> None:
        """End the processes at once; unfinished tiles are not in the log and are computed again."""
        if self._pool is None:
            return
        # The pool has no way to end processes at work; without this it would wait for their tiles.
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        self._pool = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()


def executor_for(options: Options) -> Executor:
    """The executor that options ask for, not yet entered."""
    workers = options.workers or default_workers()
    if options.cluster:
        from histoscale.upscaling.dask_executor import DaskExecutor

        return DaskExecutor(options.cluster, workers)
    return ThisProcess() if workers == 1 else Processes(workers)


def begin_worker() -> None:
    """Prepare a spawned process: ignore Ctrl-C, which the parent handles, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # as in the command itself
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A killed parent cannot end its workers, which would compute and write on.
        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def keep_freed_memory() -> None:
    """Let this process reuse memory instead of returning it to the system after every layer.

    Requesting and clearing it again took a fifth of the time. A worker then holds its peak from the first
    tiles on, so the peak of all workers together is seen at once. Only glibc has these parameters.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
        mallopt(M_ARENA_MAX, 1)


def call_function(function: Callable[..., T], *arguments: object) -> T:
    """Call a function; its errors become ours here: others may not survive the way from a worker."""
    with explaining("The worker"):
        return function(*arguments)


def compute_in_worker(job: TileJob, index: int) -> TileResult:
    """A tile, in a process that imports torch now if it has not yet."""
    from histoscale.upscaling.tile import compute_tile

    return compute_tile(job, index)


def compute_alone(job: TileJob, index: int) -> TileResult:
    """A tile with one thread, and the process's own number of threads afterwards."""
    from histoscale.upscaling.tile import compute_tile

    if job.plan.setting is None:
        return compute_tile(job, index)
    # Another number of threads sums in another order, so the last bits would not be those of a worker.
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return compute_tile(job, index)
    finally:
        torch.set_num_threads(threads)


def measure_worker(engine: Engine, scale: tuple[float, float]) -> WorkerReport:
    """Report model and memory need; called on a worker by a coordinator that imports no torch."""
    from histoscale.upscaling.tile_memory import report_worker

    return report_worker(engine, scale)
