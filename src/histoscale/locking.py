"""One run at a time in a folder: a file in it is held by a process, and free as soon as that is dead."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from histoscale.errors import OutputError

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows, where nobody is kept out
    fcntl = None


@contextmanager
def holding(file: Path) -> Iterator[None]:
    """Hold a file during the block; it and its folder are made where they are missing.

    Raises:
        OutputError: if somebody else holds it, or the folder cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.open("a")
    except OSError as error:
        raise OutputError(f"{file.parent} cannot be made: {error.strerror}.") from error
    with lock:
        if not _is_ours(file, lock.fileno()):
            raise OutputError(f"Another run is at work in {file.parent}: wait for it, or end it.")
        yield


def _is_ours(file: Path, lock: int) -> bool:
    """Whether nobody else holds the file, nor has just finished and deleted it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return file.exists() and os.path.samestat(os.fstat(lock), file.stat())
