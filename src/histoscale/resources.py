"""Device, precision and memory of this machine, and how to recognise that memory ran out.

torch is imported when a device is needed, so that a process that only distributes work stays small.
"""

import multiprocessing
import os
import platform
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import psutil

from histoscale.errors import ConfigError, HistoscaleError

if TYPE_CHECKING:
    import torch

MIB = 2**20


# Device.


def find_device(name: str) -> "torch.device":
    """Return the device called ``name``: "cpu", "cuda", "cuda:1", "mps"; "auto" is a GPU if there is one.

    Raises:
        ConfigError: if it is unknown or absent.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise ConfigError(f"There is no device {name} here: try auto or cpu.") from error
    return device


# Precision.


Precision: TypeAlias = Literal["fp32", "bf16"]
"""In what to compute; bf16 is autocast over weights in fp32."""
PrecisionChoice: TypeAlias = Literal["auto", "fp32", "bf16"]
"""The same, or "auto": bf16 if the device multiplies it natively, else fp32."""
SLOW_BF16 = (
    "bf16 is about 12 times slower than fp32 for inference and 3 times for training on this processor: "
    "use precision auto or fp32."
)
"""Measured on a processor with AVX2 alone, which emulates bf16."""


def find_precision(choice: str, device: "torch.device") -> Precision:
    """Return the precision to compute in; "auto" is bf16 if the device multiplies it natively, else fp32.

    Warns once if bf16 is chosen on a processor that emulates it.

    Raises:
        ConfigError: if ``choice`` is not one of `PrecisionChoice`.
    """
    match choice:
        case "auto":
            return "bf16" if multiplies_bf16(device) else "fp32"
        case "fp32":
            return choice
        case "bf16":
            if emulates_bf16(device):
                warn_of_slow_bf16()
            return choice
        case _:
            raise ConfigError(
                f"There is no precision {choice}: choose one of {', '.join(get_args(PrecisionChoice))}."
            )


def emulates_bf16(device: "torch.device") -> bool:
    """Tell whether bf16 is slower than fp32 on a device: a processor without its instructions."""
    return device.type == "cpu" and not multiplies_bf16(device)


@cache
def warn_of_slow_bf16() -> None:
    """Warn once in a run: worker processes, also those of torchrun, leave that to the first."""
    if multiprocessing.parent_process() is None and os.environ.get("RANK", "0") == "0":
        warnings.warn(SLOW_BF16, stacklevel=2)


def multiplies_bf16(device: "torch.device") -> bool:
    """Tell whether bf16 is faster than fp32 on a device: native instructions, no emulation."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)


def device_name(device: "torch.device") -> str:
    """Describe a device for results: its name, and the instruction set of a processor.

    Timings depend on the instruction set more than on the model: bf16 is fast only with instructions for it.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    bf16 = "with" if multiplies_bf16(device) else "without"
    return f"{name} ({torch.backends.cpu.get_cpu_capability()}, {bf16} bf16 instructions)"


@dataclass(frozen=True)
class Compute:
    """Where and how to compute.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1", "mps"; "auto" is a GPU where there is one.
        precision: "auto" is bf16 where the device multiplies it natively, else fp32.
        workers: processes with one thread each; 1 computes in this process with its threads.
        threads: of a processor; 0 for the default of torch.
    """

    device: str = "auto"
    precision: PrecisionChoice = "auto"
    workers: int = 1
    threads: int = 0

    def resolve(self) -> tuple["torch.device", Precision]:
        """The device and the precision in which it computes.

        Raises:
            ConfigError: if the device is unknown or absent.
        """
        device = find_device(self.device)
        return device, find_precision(self.precision, device)


AUTOMATIC = Compute()
EXACT = Compute(precision="fp32")
"""In this process on the fastest device, in the precision of the weights."""


# Memory that is available.


USABLE_SHARE = 0.85
"""Of the available memory; the rest is for libraries and other programs."""
CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Return the memory that this process can still allocate, in the system and in its container."""
    system: int = psutil.virtual_memory().available
    return min(n for n in (system, _available_in_container()) if n is not None)


def _available_in_container() -> int | None:
    """What the limit of a container leaves (cgroup v2), or None if there is no limit."""
    try:
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = next(
            int(line.split()[1])
            for line in (CGROUP / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, StopIteration, ValueError):  # ValueError: "max", no limit
        return None
    return max(limit - used + cached, 0)  # the kernel gives up cached files when memory is short


def ensure_memory(needed_bytes: int, error: type[HistoscaleError], sentence: str) -> None:
    """Raise an error if something does not fit into memory.

    Args:
        needed_bytes: an estimate from above.
        error: the class to raise.
        sentence: its text without the full stop; the amounts are appended.

    Raises:
        HistoscaleError: of the class ``error``.
    """
    available = available_bytes()
    if needed_bytes > USABLE_SHARE * available:
        raise error(
            f"{sentence} (needs {format_bytes(needed_bytes)}, {format_bytes(available)} are available)."
        )


def format_bytes(n: int) -> str:
    """Return a size for people: 1536 -> "1.5 KiB"."""
    size = float(n)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:,.4g} TiB"


# Memory that is in use.


INTERVAL_S = 0.1


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


class PeakMemory:
    """The most memory that this process and all that it started held at once.

    Pages that processes share count in each of them.

    Attributes:
        mib: the peak so far.
    """

    mib: float = 0.0

    def update(self) -> None:
        """Raise the peak to what is held now, if that is more."""
        held = 0
        ours = psutil.Process()
        for process in (ours, *ours.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended since
                held += process.memory_info().rss
        self.mib = max(self.mib, held / MIB)


@contextmanager
def measure_peak_memory() -> Iterator[PeakMemory]:
    """Measure memory every `INTERVAL_S` until the block ends."""
    peak, ended = PeakMemory(), threading.Event()

    def measure() -> None:
        while not ended.wait(INTERVAL_S):
            peak.update()

    peak.update()
    thread = threading.Thread(target=measure, name="peak memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


# Memory that ran out.


OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether numpy, torch on a processor, or torch on a GPU ran out of memory."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)
    )
