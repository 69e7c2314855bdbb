"""A file or folder appears whole or not at all: written under another name beside it, then renamed."""

import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
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


# One run at a time in a folder: a file in it is held by a process, and free as soon as that is dead.


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


# Files of results in a folder: in the way before the work, not after; whole under their names or absent.


LOCK = ".lock"
"""File in a folder of results that whoever is at work there holds."""


def prepare(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Make the folder that files of these names are to be written into.

    Raises:
        OutputError: if one of them is there and may not be replaced, or the folder cannot be made.
    """
    present = [name for name in names if (folder / name).exists()]
    if present and not overwrite:
        raise OutputError(f"{folder / present[0]} exists already; pass --overwrite to replace it.")
    with writing(f"The folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder that results are added to; what a dead process held is free.

    A folder that was made for this and is empty at the end goes again.

    Raises:
        OutputError: if another run is at work there, or the folder cannot be made.
    """
    is_new = not folder.exists()
    with writing(f"The folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / LOCK):
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Say in a sentence that ``what`` cannot be written, where a disk refuses.

    Raises:
        OutputError: in place of an `OSError` of the block.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{what} cannot be written: a file is in the way of {error.filename}.") from error
    except OSError as error:
        raise OutputError(f"{what} cannot be written: {error.strerror or error}.") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another name for a file until the block ends; if it fails, ``path`` is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def together(folder: Path, texts: Mapping[str, str]) -> Iterator[Path]:
    """A folder for files that come to stand in ``folder`` once all are complete; if it fails, none does.

    Args:
        texts: files that are among them, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".partial-", dir=folder) as unfinished:
        for name, text in texts.items():
            (Path(unfinished) / name).write_text(text, encoding="utf-8")
        yield Path(unfinished)
        for file in sorted(Path(unfinished).iterdir()):
            file.replace(folder / file.name)


def write_whole(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
