"""The errors of this package: one base class, a few subclasses, one sentence each.

`explaining` is the boundary for all other exceptions: around a verb, each file of several, and each tile.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from unicodedata import category

LONGEST_REASON = 160
"""Characters of another library's words that a sentence repeats."""
LONGEST_SENTENCE = 1000
"""Characters of a whole sentence, in which a file may have put a name of any length."""


class HistoscaleError(Exception):
    """Base of every error that this package raises on purpose; its text is one sentence.

    Names and texts of files stand in such sentences, so control characters are escaped and the middle of a
    very long sentence is left out.
    """

    def __str__(self) -> str:
        return _bounded(printable(super().__str__()))


class InputError(HistoscaleError):
    """A file or array that cannot be read, or is of a kind that is not handled."""


class OutputError(HistoscaleError):
    """A file that cannot be written: exists already, unknown suffix, no space, no permission."""


class ScaleError(HistoscaleError):
    """A scale, size or resolution that is impossible or that this model cannot make."""


class WeightsError(HistoscaleError):
    """Weights that are missing, damaged, of another architecture, or not finite."""


class TrainingError(HistoscaleError):
    """A training that cannot continue: its loss or a weight is not a number."""


class ConfigError(HistoscaleError):
    """A run file with an unknown key, a wrong value or a missing table."""


class DataError(HistoscaleError):
    """A data folder or manifest that is missing, empty or inconsistent."""


class UnexpectedError(HistoscaleError):
    """A bug: an exception that this package neither raises on purpose nor expects.

    Attributes:
        trace: its traceback, for a report of the bug.
    """

    def __init__(self, sentence: str, trace: str = "") -> None:
        super().__init__(sentence, trace)
        self.trace = trace

    def __str__(self) -> str:
        return _bounded(printable(str(self.args[0])))


@contextmanager
def explaining(what: object) -> Iterator[None]:
    """Turn every exception in the block into a `HistoscaleError` that names what was processed.

    Args:
        what: a file, or words for it at the start of a sentence.

    Raises:
        HistoscaleError: errors of this package as they are, others by `explained`.
    """
    try:
        yield
    except Exception as error:
        found = explained(error, what)
        if found is error:
            raise
        raise found from error


def explained(error: Exception, what: object) -> HistoscaleError:
    """Return an exception of any kind as one of this package, whose text is one sentence.

    Args:
        what: see `explaining`; the path that the system names goes before.
    """
    reason = reason_of(error)
    match error:
        case HistoscaleError():
            found = error
        case OSError():
            file, reason = error.filename or what, error.strerror or reason
            found = InputError(f"{file} cannot be read or written: {reason}.")
        case UnicodeError():
            found = InputError(f"{what} holds text that is not UTF-8: {reason}.")
        case MemoryError():
            found = HistoscaleError(f"{what} needs more memory than there is: process a smaller part of it.")
        case RecursionError():
            found = InputError(f"{what} is nested too deeply to be read.")
        case OverflowError():
            found = InputError(f"{what} holds a number that is too large: {reason}.")
        case _:
            found = UnexpectedError(
                f"{what} could not be processed: unexpected {type(error).__name__}: {reason}.",
                "".join(traceback.format_exception(error)),
            )
    return found


def printable(text: str) -> str:
    """Write control characters as escapes such as ``\\x1b``, since texts of files could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def _bounded(sentence: str) -> str:
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    half = LONGEST_SENTENCE // 2
    return f"{sentence[:half]} ... {sentence[-half:]}"


def reason_of(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has no text; without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:LONGEST_REASON]
