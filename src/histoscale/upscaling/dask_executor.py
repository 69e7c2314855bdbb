"""Compute tiles as Dask tasks, on processes of this machine or on a running scheduler.

Only the job and tile numbers are sent: a worker opens the slide, the weights and the store itself, and writes
its own chunks. All three must have the same path on every machine.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, chdir, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from histoscale.errors import ConfigError, HistoscaleError, InputError, WeightsError
from histoscale.upscaling.plan import TileJob, TileResult

T = TypeVar("T")
Client: TypeAlias = Any
Future: TypeAlias = Any
"""Dask's, which comes with the extra ``cluster``."""

LOCAL = "local"
CONNECT_S, WORKERS_S = 10, 30
"""How long a scheduler may take to answer, and to have a worker."""
PATIENCE_S = 60
"""How long the run waits for workers to return after all are lost."""
LOOPBACK, UNSHARED = "127.0.0.1", "127.0.0.1:0"
"""Where local workers listen, on any free port: Dask would choose every network of the machine."""
TILES_AHEAD = 8
"""Tiles queued for each worker, so that workers compute while the coordinator encodes."""
LEAVE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Run first by a worker: Ctrl-C is handled by the coordinator, which ends its workers in order."""

_one_at_a_time = threading.Lock()


class DaskExecutor:
    """An `Executor` whose workers are those of a Dask scheduler; connected as long as it is entered.

    Args:
        address: `LOCAL`, or that of a scheduler, such as ``tcp://host:8786``.
        workers: processes of one thread each, where they are started here; else as many as there are.
    """

    def __init__(self, address: str, workers: int = 1) -> None:
        self.workers = workers
        self._address = address
        self._stack = ExitStack()

    def __enter__(self) -> "DaskExecutor":
        """Connect.

        Raises:
            ConfigError: if Dask is not installed, or no scheduler or no worker answers.
        """
        connection = _local(self.workers) if self._address == LOCAL else _connected(self._address)
        self._client = self._stack.enter_context(connection)
        self.workers = len(self._client.nthreads())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a picklable function on one of the workers and return its result."""
        with self._errors_translated():
            future = self._client.submit(_call, function, arguments, str(Path.cwd()), pure=False)
            try:
                answer: T = future.result()
            except HistoscaleError as error:
                if self._address == LOCAL:
                    raise
                raise type(error)(f"On a worker of {self._address}: {error}", *error.args[1:]) from error
            return answer

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute tiles, about in the order given, and yield each result when that tile lies in the store.

        Dask gives a lost worker's tiles to another one.

        Raises:
            HistoscaleError: if a tile cannot be computed, workers are lost again and again, or a worker does
                not find what it needs.
        """
        job, ahead = _with_absolute_paths(job), iter(tiles)
        running: set[Future] = set()
        try:
            with self._errors_translated():
                while True:
                    # Workers may join or leave at any time, so the queue follows their present number.
                    room = TILES_AHEAD * max(len(self._client.nthreads()), 1) - len(running)
                    for index in islice(ahead, max(room, 0)):
                        running.add(
                            self._client.submit(_compute, job, index, version("histoscale"), pure=False)
                        )
                    if not running:
                        return
                    for future in self._finished(running):
                        running.remove(future)
                        yield future.result()
        finally:
            # Else a scheduler that lives on would compute the tiles of a run that has ended.
            with suppress(Exception):  # whatever ended the run is what counts
                self._client.cancel(list(running))

    def _finished(self, running: set[Future]) -> set[Future]:
        """Wait for some of them."""
        while True:
            try:
                with self._client.as_current():
                    done: set[Future] = _distributed().wait(running, PATIENCE_S, "FIRST_COMPLETED").done
                    return done
            except TimeoutError:  # slow tiles are waited for as long as there is a worker
                if not self._client.nthreads():
                    raise HistoscaleError(
                        f"{self._address} has no workers left: start some, then use --resume."
                    ) from None

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Translate Dask's errors; errors of this package pass unchanged."""
        try:
            yield
        except _distributed().KilledWorker as error:
            raise HistoscaleError(
                f"Workers of {self._address} were killed repeatedly on one tile, probably out of memory: "
                "give them more memory or use fewer workers, then use --resume."
            ) from error
        except (CancelledError, _distributed().comm.CommClosedError) as error:
            raise HistoscaleError(
                f"The connection to the scheduler at {self._address} was lost: use --resume."
            ) from error
        except ImportError as error:
            raise ConfigError(f"A package is missing on a worker of {self._address}: {error}.") from error


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    """Start processes on this machine, which only this process can reach.

    Raises:
        HistoscaleError: if they cannot be started.
    """
    distributed = _distributed()
    try:
        with _interrupts_ignored():
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host=LOOPBACK,
                scheduler_kwargs={"dashboard": False, "dashboard_address": UNSHARED},
                worker_dashboard_address=UNSHARED,
                memory_limit=None,  # the plan limits memory; pausing a worker near a limit would only slow it
                silence_logs="CRITICAL",
                preload=[LEAVE_INTERRUPTS],
            )
    except RuntimeError as error:
        raise HistoscaleError(
            "The Dask workers ended at once: in a Python script, put the call under "
            "`if __name__ == '__main__':`."
        ) from error
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect to a running scheduler; its workers close the slide at the end."""
    distributed = _distributed()
    try:
        asyncio.run(_check_answer(address))
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # TypeError: TLS without certificates
        raise ConfigError(
            f"No Dask scheduler answers at {address}: give --cluster {LOCAL}, or an address such as "
            "tcp://host:8786."
        ) from error
    with distributed.utils.silence_logging_cmgr("CRITICAL", root="distributed.client"), client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise ConfigError(
                f"The scheduler at {address} has no workers: start some with `dask worker {address}`."
            ) from None
        try:
            yield client
        finally:
            with suppress(Exception):  # a lost scheduler was told of elsewhere
                client.run(_release, on_error="ignore")


async def _check_answer(address: str) -> None:
    """Check that a scheduler answers: closing a `Client` without one hangs and prints tracebacks."""
    distributed = _distributed()
    arguments = distributed.Security().get_connection_args("client")
    (await distributed.comm.connect(address, timeout=CONNECT_S, **arguments)).abort()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ConfigError("--cluster needs Dask: pip install 'histoscale[cluster]'.") from None
    return distributed


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C for good: that is inherited, a handler is not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _call(function: Callable[..., T], arguments: tuple[object, ...], folder: str) -> T:
    """Call a function in the coordinator's working directory, if this machine has it."""
    there = chdir(folder) if Path(folder).is_dir() else nullcontext()
    with _one_at_a_time, there:
        return function(*arguments)


def _with_absolute_paths(job: TileJob) -> TileJob:
    """The same job with paths that are valid in any working directory."""
    plan = replace(job.plan, source=job.plan.source.absolute())
    if plan.setting and Path(plan.setting.name).suffix:
        name = str(Path(plan.setting.name).absolute())
        plan = replace(plan, setting=replace(plan.setting, name=name))
    return replace(job, plan=plan, store=job.store.absolute())


def _compute(job: TileJob, index: int, coordinators_version: str) -> TileResult:
    """A tile, on a worker; one at a time, however many threads the worker has."""
    with _one_at_a_time:
        _verify_worker(job, coordinators_version)
        from histoscale.upscaling.tile import compute_tile

        return compute_tile(job, index)


@lru_cache(maxsize=1)
def _verify_worker(job: TileJob, coordinators_version: str) -> None:
    """Check, once for each job, that this worker computes the same pixels as the coordinator.

    Raises:
        ConfigError: if it has another version of this package, or lacks the device.
        InputError: if it does not find the source or the store.
        WeightsError: if its weights are others.
    """
    import torch

    from histoscale.resources import find_device
    from histoscale.weights import card

    here, mine, setting = socket.gethostname(), version("histoscale"), job.plan.setting
    if mine != coordinators_version:
        raise ConfigError(
            f"The worker on {here} has histoscale {mine}, but this command is {coordinators_version}: "
            "install the same version."
        )
    for path in (job.plan.source, job.store):
        if not path.exists():
            raise InputError(
                f"The worker on {here} cannot find {path}: source, output and weights must have the same "
                "path on every machine."
            )
    if setting:
        find_device(setting.device)
        if card(setting.name).sha256 != setting.sha256:
            raise WeightsError(
                f"The worker on {here} has different weights in {setting.name}: copy the same file there."
            )
    torch.set_num_threads(1)  # another number sums in another order


def _release() -> None:
    """Close what a worker opened for the last job."""
    from histoscale.upscaling.tile import open_job

    open_job.cache_clear()
    _verify_worker.cache_clear()
