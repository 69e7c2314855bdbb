"""Open a file, and turn what its decoder raises into one sentence that names the file."""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from histoscale.errors import HistoscaleError, InputError, reason_of

START_BYTES = 16
UNSUPPORTED = re.compile("unsupported|not supported|not implemented", re.IGNORECASE)
"""Words of decoders for a file that is sound, but of a kind that they do not read."""


@contextmanager
def decoding(path: Path, place: str | None = None) -> Iterator[None]:
    """Turn any error of a decoder inside the block into an `InputError`.

    Args:
        place: which pixels are being read, in words, if not all.

    Raises:
        InputError: with the file, the place and the reason of the decoder.
    """
    try:
        yield
    except (HistoscaleError, MemoryError):  # a sentence already, or no fault of the file
        raise
    except Exception as error:  # decoders raise exceptions of any class, from SyntaxError to struct.error
        where = f" in {place}" if place else ""
        reason = f": {reason_of(error)}" if str(error).strip() else ""
        is_unsupported = isinstance(error, NotImplementedError) or UNSUPPORTED.search(reason)
        state = "not supported" if is_unsupported else "damaged or incomplete"
        raise InputError(f"{path} is {state}{where}{reason}.") from error


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        InputError: if it is missing, a folder, a pipe or device, or may not be read.
    """
    with reaching(path):
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its other end
            raise InputError(f"{path} is not a regular file.")
        return path.open("rb")


def start_of(file: BinaryIO) -> bytes:
    """Read the first bytes of an opened file, which show its format."""
    file.seek(0)
    start = file.read(START_BYTES)
    file.seek(0)
    return start


def is_folder(path: Path) -> bool:
    """Whether a path is a folder.

    Raises:
        InputError: if it is missing or out of reach.
    """
    with reaching(path):
        return stat.S_ISDIR(path.stat().st_mode)


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Turn an error of the file system inside the block into an `InputError`."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check its name and folder.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
