"""Measure the time and the memory of one image through one model, in a process of its own."""

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from histoscale.errors import HistoscaleError
from histoscale.imaging.coords import output_positions
from histoscale.models.base import CoordinateSuperResolver, as_grid
from histoscale.resources import Precision

ENOUGH_S = 2.0
"""Seconds after which a measurement is not repeated."""
REPEATS = 5
WARM_UP_PX = 16
MIB = 2**20


class Times(NamedTuple):
    """Seconds by the clock, and of processor time over all threads."""

    wall_s: float
    processor_s: float

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.wall_s - other.wall_s, self.processor_s - other.processor_s)


class Cost(NamedTuple):
    """The cost of one image.

    Attributes:
        peak_mib: peak memory above that of the loaded model; None if the system does not report it.
    """

    encode: Times
    decode: Times
    peak_mib: float | None


@dataclass(frozen=True)
class Call:
    """One measurement; it can be sent to another process.

    Attributes:
        build: makes the model.
        points: output pixels per query; None for a grid, in blocks that the model chooses.
        lr_px: side of the low-resolution image.
        scale: output side divided by ``lr_px``.
        threads: of the processor.
    """

    build: Callable[[], CoordinateSuperResolver]
    points: int | None
    lr_px: int = 96
    scale: int = 2
    device: str = "cpu"
    precision: Precision = "fp32"
    threads: int = 1


def measure(call: Call) -> Cost:
    """Measure a call in a new process: the shortest time of a few repetitions, after a warm-up.

    Raises:
        HistoscaleError: if the process is killed or fails, for example out of memory.
    """
    context = get_context("spawn")  # a fork would inherit memory and torch's thread pool
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_cost, args=(theirs, call), daemon=True)
    process.start()
    theirs.close()
    try:
        received: Cost | str = ours.recv()
    except EOFError:
        process.join()
        received = f"the process ended with exit code {process.exitcode}, probably out of memory"
    finally:
        process.kill()
        process.join()
    if isinstance(received, str):
        raise HistoscaleError(f"Measuring failed: {received}.")
    return received


def _send_cost(connection: Connection, call: Call) -> None:
    """Send the cost, or why there is none, to the process that measures."""
    try:
        connection.send(run(call))
    except KeyboardInterrupt:
        return
    except RuntimeError as error:  # torch raises it for missing memory or a missing operator
        connection.send(str(error).splitlines()[0].rstrip("."))


def run(call: Call) -> Cost:
    """Measure a call in this process; an earlier peak of its memory may hide that of the call."""
    torch.set_num_threads(call.threads)
    torch.manual_seed(0)
    device = torch.device(call.device)
    model = call.build().to(device).eval()
    image = torch.rand(1, 3, call.lr_px, call.lr_px, device=device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, call.precision == "bf16"):
        once(model, image[..., :WARM_UP_PX, :WARM_UP_PX], call)
        before = held_mib(device, start=True)
        costs = [once(model, image, call)]
        peak = held_mib(device)
        while len(costs) < REPEATS and sum(c.wall_s for pair in costs for c in pair) < ENOUGH_S:
            costs.append(once(model, image, call))
    memory = None if before is None or peak is None else max(peak - before, 0.0)
    encode, decode = (Times(*map(min, zip(*part, strict=True))) for part in zip(*costs, strict=True))
    return Cost(encode, decode, memory)


def once(model: CoordinateSuperResolver, image: Tensor, call: Call) -> tuple[Times, Times]:
    """Time encoding and decoding of one image."""
    n = image.shape[2]
    axis = output_positions(n * call.scale, n).to(image.device)
    start = now(image.device)
    features = model.encode(image)
    encoded = now(image.device)
    decode(model, features, axis, 1 / call.scale, call.points)
    return encoded - start, now(image.device) - encoded


def decode(
    model: CoordinateSuperResolver, features: Any, axis: Tensor, step: float, points: int | None
) -> list[Tensor]:
    """Decode every pixel of the square grid over ``axis``, ``points`` of them per query, row by row."""
    if points is None:
        return [model.render(features, axis, axis, (step, step))]
    cell = torch.full((1, 2), step, device=axis.device)
    return [model.decode(features, part, cell) for part in as_grid(axis, axis)[None].split(points, dim=1)]


def now(device: torch.device) -> Times:
    """Read the clocks, after the device has finished its work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return Times(time.perf_counter(), time.process_time())


def held_mib(device: torch.device, start: bool = False) -> float | None:
    """Read the memory in use and reset the peak; or, if not at the start, the peak since then."""
    if device.type == "cuda":
        if start:
            torch.cuda.reset_peak_memory_stats(device)
            return torch.cuda.memory_allocated(device) / MIB
        return torch.cuda.max_memory_allocated(device) / MIB
    if device.type != "cpu" or sys.platform != "linux":
        return None
    if start:
        ctypes.CDLL(None).malloc_trim(0)  # freed memory that is still held would hide new memory
        Path("/proc/self/clear_refs").write_text("5")
    key = "VmRSS:" if start else "VmHWM:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
