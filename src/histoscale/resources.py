"""How much memory a picture may take."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from histoscale.errors import ConfigError, HistoscaleError

if TYPE_CHECKING:
    import torch
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.85
"""Of what is available; the rest is for the libraries and for everybody else."""


def available_bytes() -> int | None:
    """Memory this process can still get, or None where the system does not say."""
    limits = [n for n in (_unused_by_system(), _unused_by_group()) if n is not None]
    return min(limits, default=None)


def _unused_by_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
        return kib * 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _unused_by_group() -> int | None:
    """What a container's limit leaves (cgroup v2)."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = next(
            int(line.split()[1])
            for line in (group / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, StopIteration, ValueError):  # ValueError: "max", no limit
        return None
    return max(limit - used + cached, 0)


def ensure_memory(needed_bytes: int, error: type[HistoscaleError], sentence: str) -> None:
    """Refuse what cannot fit.

    Args:
        needed_bytes: an estimate from above.
        error, sentence: what to raise; the amounts are appended to the sentence.

    Raises:
        HistoscaleError: of the class ``error``.
    """
    available = available_bytes()
    if available is not None and needed_bytes > SHARE * available:
        amounts = f"{in_words(needed_bytes)} wanted, {in_words(available)} available"
        raise error(f"{sentence} ({amounts}).")


def in_words(n: int) -> str:
    """1536 -> "1.5 KiB"."""
    size = float(n)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:,.4g} TiB"


# Which device computes, and in which precision, from the words a person gives.
#
# torch is imported when a device is asked for, so that a process that only hands out work stays small.


Precision: TypeAlias = Literal["fp32", "bf16"]
"""As `histoscale.inference.Precision`, without its torch."""
Wanted: TypeAlias = Literal["auto", "fp32", "bf16"]


def find_device(name: str) -> "torch.device":
    """The device called ``name``: "cpu", "cuda", "cuda:1", "mps"; "auto" is a GPU where there is one.

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


def find_precision(wanted: str, device: "torch.device") -> Precision:
    """What to compute in; "auto" is bf16 where the device multiplies it natively, else fp32.

    Raises:
        ConfigError: if it is not one of `Wanted`.
    """
    match wanted:
        case "auto":
            return "bf16" if multiplies_bf16(device) else "fp32"
        case "fp32" | "bf16":
            return wanted
        case _:
            raise ConfigError(f"Wanted a precision of {', '.join(get_args(Wanted))}, got {wanted}.")


def multiplies_bf16(device: "torch.device") -> bool:
    """Whether bf16 is faster than fp32 there: native instructions, not emulation."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)


# How a failed allocation shows itself.


MESSAGES = ("allocate memory", "not enough memory", "out of memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether numpy, torch on a processor, or torch on a GPU ran out of memory."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in MESSAGES)
    )


# How much memory a run takes: this process and all that it started, measured while it works.


INTERVAL_S = 0.1
PROCESSES = Path("/proc")


class PeakMemory:
    """The most that was resident at once; pages that processes share count in each of them.

    Attributes:
        mib: so far; None where the system does not say.
    """

    mib: float | None = None

    def look(self) -> None:
        """Compare with what is resident now."""
        pages = [_resident_pages(process) for process in family(os.getpid())]
        if any(pages):
            now = sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
            self.mib = max(self.mib or 0.0, now)


@contextmanager
def watching() -> Iterator[PeakMemory]:
    """Look again and again until the block ends."""
    peak, ended = PeakMemory(), threading.Event()

    def watch() -> None:
        while not ended.wait(INTERVAL_S):
            peak.look()

    peak.look()
    thread = threading.Thread(target=watch, name="peak memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def family(process: int) -> Iterator[int]:
    """A process, its children, and theirs."""
    yield process
    for children in (PROCESSES / str(process) / "task").glob("*/children"):
        for child in _words(children):
            yield from family(int(child))


def _resident_pages(process: int) -> int:
    words = _words(PROCESSES / str(process) / "statm")
    return int(words[1]) if words else 0


def _words(file: Path) -> list[str]:
    """What it says; nothing where the process has ended or the system has no such file."""
    try:
        return file.read_text().split()
    except OSError:
        return []
