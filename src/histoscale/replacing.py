"""A file or folder appears whole or not at all: written under another name beside it, then renamed."""

import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from histoscale.errors import OutputError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(target: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that becomes ``target`` when the block ends, and leaves nothing if the block fails.

    Raises:
        OutputError: if the disk is full, the folder cannot be written, or ``target`` exists in spite of
            ``overwrite`` being off.
    """
    partial = _beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not overwrite:
            refuse_existing(target)
        partial.replace(target)
        sync(target.parent)
    except OSError as error:
        raise OutputError(_sentence(target, error)) from error
    finally:
        if target.parent.is_dir():
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path, overwrite: bool = True) -> Iterator[Path]:
    """A new folder that becomes ``target`` when the block ends, and leaves nothing if the block fails.

    Raises:
        OutputError: as `replacing` does.
    """
    partial = _beside(target)
    try:
        partial.mkdir(parents=True)
        yield partial
        for path in partial.rglob("*"):
            sync(path)
        if not overwrite:
            refuse_existing(target)
        _exchange(partial, target)
        sync(target.parent)
    except OSError as error:
        raise OutputError(_sentence(target, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _exchange(partial: Path, target: Path) -> None:
    """A folder takes the place of another, which is deleted when that has succeeded."""
    if not target.exists():
        partial.rename(target)
        return
    old = _beside(target)
    target.rename(old)
    try:
        partial.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name[:100]}-{secrets.token_hex(4)}.part")


def remove_leftovers(target: Path) -> None:
    """Delete what killed processes left beside ``target``; for who knows that nobody is writing it now."""
    for path in target.parent.glob(f".{glob.escape(target.name[:100])}-????????.part"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def refuse_existing(target: Path) -> None:
    """Raise `OutputError` if there is something under that name."""
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target} exists already: give --overwrite to replace it.")


def refuse_unwritable(target: Path, is_folder: bool = False) -> None:
    """Find out before hours of work whether the folder takes files.

    Args:
        is_folder: whether ``target`` will be a folder.

    Raises:
        OutputError: if ``target`` is of the other kind or its folder cannot be written.
    """
    if target.is_dir() and not is_folder:
        raise OutputError(f"{target} is a folder, and a file of that name was wanted.")
    if target.is_file() and is_folder:
        raise OutputError(f"{target} is a file, and a folder of that name was wanted.")
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{target} cannot be written: {folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target} cannot be written: {folder} is read-only for you.")


def sync(path: Path) -> None:
    """Make what was written or renamed last through a power cut, where the system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _sentence(target: Path, error: OSError) -> str:
    if error.errno in NO_SPACE:
        return f"{target} was not written: no space is left on the disk."
    return f"{target} was not written: {error.strerror or error}."
