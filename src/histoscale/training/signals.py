"""What Ctrl-C (SIGINT) and a polite kill (SIGTERM) do to a training."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM call ``stop``; a second one of the same kind acts as before the block.

    A signal that is ignored, as SIGINT is by worker processes, stays ignored.
    """

    def handle(number: int, _: object) -> None:
        stop()
        signal.signal(number, before[number])

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before: dict[int, Any] = {int(n): signal.signal(n, handle) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM in the block like Ctrl-C: partial files are removed, and finished work is kept."""
    process = os.getpid()

    def interrupt(*_: object) -> None:
        if os.getpid() != process:  # a forked worker inherits this handler, and has nothing to tidy up
            os._exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, which alone may set handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
