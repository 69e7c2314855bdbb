"""Run a parser on one file within limits on time and memory, and say in which way it failed."""

import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from histoscale.errors import HistoscaleError, UnexpectedError, printable
from histoscale.resources import resident_bytes

MOST_SECONDS = 10
MOST_BYTES = 2**30
LONGEST_SENTENCE = 1200
"""Characters of an error: a name and a reason, not the file's content."""
_STOP_AFTER = 3 * MOST_SECONDS
_HEADROOM = 6 * 2**30


class TooSlow(BaseException):
    """Not an Exception, so that no parser can take it for damage of its file."""


def failure(parse: Callable[[Path], object], path: Path) -> str | None:
    """What is wrong with how ``parse`` treats a file; None if it reads or refuses it as it should."""
    before = resident_bytes()
    _reset_peak()
    start = time.monotonic()
    wrong = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _limits():
                parse(path)
        except UnexpectedError as error:
            wrong = f"unexpected: {error}\n{error.trace}"
        except HistoscaleError as error:
            wrong = _wrong_with(str(error))
        except TooSlow:
            wrong = f"stopped after {_STOP_AFTER} s"
        except Exception:
            wrong = traceback.format_exc()
    if wrong is None and (taken := time.monotonic() - start) > MOST_SECONDS:
        wrong = f"took {taken:.0f} s"
    if wrong is None and (grown := _peak_bytes() - before) > MOST_BYTES:
        wrong = f"took {grown / 2**20:.0f} MiB"
    return wrong


def _wrong_with(sentence: str) -> str | None:
    if printable(sentence) != sentence:
        return f"the error has control characters: {sentence!r}"
    if len(sentence) > LONGEST_SENTENCE:
        return f"the error has {len(sentence)} characters: {sentence[:200]}"
    return None


@contextmanager
def _limits() -> Iterator[None]:
    """Stop a block that never ends, and refuse it memory before the machine runs out of it."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    earlier = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + _HEADROOM, hard))
    signal.alarm(_STOP_AFTER)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _reset_peak() -> None:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    return _status("VmHWM") if sys.platform == "linux" else 0


def _virtual_bytes() -> int:
    return _status("VmSize") if sys.platform == "linux" else 2**40


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024
