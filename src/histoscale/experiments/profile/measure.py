"""One image through one model, in a process of its own: how long it takes and how much memory."""

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
from histoscale.inference import Precision
from histoscale.models.base import CoordinateSuperResolver, as_grid

ENOUGH_S = 2.0
"""Seconds after which a call is not repeated."""
REPEATS = 5
WARM_UP_PX = 16
MIB = 2**20


class Times(NamedTuple):
    """Seconds by the clock, and of all processors together."""

    wall_s: float
    processor_s: float

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.wall_s - other.wall_s, self.processor_s - other.processor_s)


class Cost(NamedTuple):
    """Of one image: encoding, decoding, and the most memory above what the loaded model holds.

    ``peak_mib`` is None where the system does not say.
    """

    encode: Times
    decode: Times
    peak_mib: float | None


@dataclass(frozen=True)
class Call:
    """What is measured.

    Attributes:
        build: makes the model; travels to the other process, as all of this.
        points: output pixels a query; None: a grid at once, by blocks of the model's own choice.
        lr_px: side of the low-resolution image.
        scale: output side over that.
        threads: of a processor.
    """

    build: Callable[[], CoordinateSuperResolver]
    points: int | None
    lr_px: int = 96
    scale: int = 2
    device: str = "cpu"
    precision: Precision = "fp32"
    threads: int = 1


def measure(call: Call) -> Cost:
    """The cost of a call: the best time of a few repetitions, after a small one to warm up.

    Raises:
        HistoscaleError: if the process dies or fails, as for want of memory.
    """
    context = get_context("spawn")  # a fork would inherit memory and torch's thread pool
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, call), daemon=True)
    process.start()
    theirs.close()
    try:
        answer: Cost | str = ours.recv()
    except EOFError:
        process.join()
        answer = f"the process ended with exit code {process.exitcode}, perhaps for want of memory"
    finally:
        process.kill()
        process.join()
    if isinstance(answer, str):
        raise HistoscaleError(f"Measuring failed: {answer}.")
    return answer


def _answer(connection: Connection, call: Call) -> None:
    """In the other process: a cost, or why there is none."""
    try:
        connection.send(run(call))
    except KeyboardInterrupt:
        return
    except RuntimeError as error:  # torch's way to say that memory or an operator is missing
        connection.send(str(error).splitlines()[0].rstrip("."))


def run(call: Call) -> Cost:
    """`measure` in this process, whose earlier peaks the system may not let us forget."""
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
    """Times of encoding and of decoding."""
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
    """Every pixel of the square grid over ``axis``, ``points`` of them a query, row by row."""
    if points is None:
        return [model.render(features, axis, axis, (step, step))]
    cell = torch.full((1, 2), step, device=axis.device)
    return [model.decode(features, part, cell) for part in as_grid(axis, axis)[None].split(points, dim=1)]


def now(device: torch.device) -> Times:
    """The time, once the device has done all it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return Times(time.perf_counter(), time.process_time())


def held_mib(device: torch.device, start: bool = False) -> float | None:
    """Memory held now, after forgetting earlier peaks; or else the most since then."""
    if device.type == "cuda":
        if start:
            torch.cuda.reset_peak_memory_stats(device)
            return torch.cuda.memory_allocated(device) / MIB
        return torch.cuda.max_memory_allocated(device) / MIB
    if device.type != "cpu" or sys.platform != "linux":
        return None
    if start:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed must not hide what is taken next
        Path("/proc/self/clear_refs").write_text("5")
    key = "VmRSS:" if start else "VmHWM:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
