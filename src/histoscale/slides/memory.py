"""How much memory a picture may take."""

import os
from pathlib import Path

from histoscale.errors import HistoscaleError

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
