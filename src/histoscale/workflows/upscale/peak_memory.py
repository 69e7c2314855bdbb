"""How much memory a run takes: this process and all that it started, measured while it works."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
