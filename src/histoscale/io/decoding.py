"""Open a file, and turn what its decoder raises into one sentence that names the file."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from histoscale.errors import HistoscaleError, InputError, reason_of


@contextmanager
def decoding(path: Path, place: str | None = None) -> Iterator[None]:
    """Turn any error of a decoder inside the block into an `InputError`.

    Args:
        place: which pixels are being read, in words, if not all.

    Raises:
        InputError: naming the file, the place and the decoder's reason.
    """
    try:
        yield
    except (HistoscaleError, MemoryError):  # ours are sentences already; memory says nothing about the file
        raise
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error
        where = f" in {place}" if place else ""
        raise InputError(f"{path} is damaged or incomplete{where}: {reason_of(error)}.") from error


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        InputError: if it is missing, a folder, a pipe or device, or may not be read.
    """
    with reaching(path):
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its other end
            raise InputError(f"{path} is not a regular file.")
        return path.open("rb")


def is_folder(path: Path) -> bool:
    """Whether a path is a folder.

    Raises:
        InputError: if it is missing or out of reach.
    """
    with reaching(path):
        return stat.S_ISDIR(path.stat().st_mode)


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Turn what the file system refuses inside the block into an `InputError`."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
