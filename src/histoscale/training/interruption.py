"""What Ctrl-C and a polite kill (SIGTERM) do to a training, and to a program that has trainings run."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stopping_politely(ask: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls ``ask``, to end after the present step; a second one ends at once."""

    def stop(number: int, _: object) -> None:
        ask()
        signal.signal(number, before[number])

    before: dict[int, Any] = {int(n): signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """A SIGTERM ends what runs inside as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
