"""Write results so that each appears whole or not at all, and keep two runs out of one folder.

A result is written under a temporary name beside its own, brought to the disk, then renamed.
"""

import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from histoscale.errors import OutputError

LOCK = ".lock"
"""Name of the file in a folder of results that the run at work there holds."""
NAME_BYTES = 255
"""What file systems take for a name."""
STEM_BYTES, SUFFIX_BYTES = 100, 30
"""What a temporary name keeps of the target's."""
TOKEN = re.compile(r"[0-9a-f]{16}")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""How a network file system says that it knows no locks."""


# Write.


@contextmanager
def atomic_write(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary file to write, which becomes ``target`` when the block ends without an error.

    The file exists already, is empty and has the suffix of ``target``. After an error it is gone, and
    ``target`` is as it was.

    Args:
        target: the file; its folder is made where it is missing.
        overwrite: whether a file that came under that name meanwhile may be replaced.

    Raises:
        OutputError: if the disk is full, the folder cannot be written, or ``target`` exists and
            ``overwrite`` is off.
    """
    temporary = _temporary(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive and without following links, so that a planted link cannot redirect the content.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(temporary, flags, 0o666))
        try:
            yield temporary
            sync(temporary)
            if not overwrite:
                refuse_existing(target)
            temporary.replace(target)
            sync(target.parent)
        finally:
            _remove(temporary)


def write_text(target: Path, text: str, *, overwrite: bool = True) -> None:
    """Write a text in UTF-8 as `atomic_write` does."""
    with atomic_write(target, overwrite=overwrite) as temporary:
        # A name that is not UTF-8 is in the text with surrogates, which UTF-8 does not encode.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes ``target`` when the block ends without an error.

    Args:
        target: the folder; an earlier one is deleted once the new one has taken its place.
        overwrite: as in `atomic_write`.

    Raises:
        OutputError: as `atomic_write` does.
    """
    temporary = _temporary(target)
    with writing(target):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _sync_all(temporary)
            if not overwrite:
                refuse_existing(target)
            _exchange(temporary, target)
            sync(target.parent)
        finally:
            _remove(temporary)


@contextmanager
def atomic_files(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; its files move into ``folder`` together when the block ends.

    After an error none of them does. Files of other names in ``folder`` stay.

    Raises:
        OutputError: as `atomic_write` does.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(folder / "files")
        temporary.mkdir()
        try:
            yield temporary
            _sync_all(temporary)
            for file in sorted(temporary.iterdir()):
                file.replace(folder / file.name)
            sync(folder)
        finally:
            _remove(temporary)


def sync(path: Path) -> None:
    """Make what was last written to a file, or renamed in a folder, survive a power cut.

    Raises:
        OSError: if the content of a file did not reach the disk.
    """
    is_folder = path.is_dir()
    with suppress(OSError) if is_folder else nullcontext():  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(target: Path) -> None:
    """Delete what killed runs left beside ``target``; only for who holds the `lock` of its folder.

    A link under such a name is deleted, not what it points to.
    """
    stem, suffix = _kept_of(target)
    for path in target.parent.glob(f".{glob.escape(stem)}.*.part{glob.escape(suffix)}"):
        if TOKEN.fullmatch(path.name[len(stem) + 2 : len(path.name) - len(f".part{suffix}")]):
            _remove(path)


def _temporary(target: Path) -> Path:
    """A hidden name beside ``target`` with the same suffix; it is random, so that it cannot be guessed."""
    stem, suffix = _kept_of(target)
    return target.with_name(f".{stem}.{secrets.token_hex(8)}.part{suffix}")


def _kept_of(target: Path) -> tuple[str, str]:
    """Stem and suffix of a temporary name, cut between characters."""
    stem, suffix = target.stem, target.suffix
    if len(os.fsencode(suffix)) > SUFFIX_BYTES:  # a name with a dot in it, but no suffix
        stem, suffix = target.name, ""
    return _cut(stem, STEM_BYTES), suffix


def fitted(name: str, before: str, after: str) -> str:
    """A file name of three parts; the middle one is cut if file systems do not take the whole.

    A hash takes the place of what is cut, so that two long names do not become one.
    """
    room = NAME_BYTES - len(os.fsencode(before + after))
    if len(os.fsencode(name)) > room:
        mark = "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        name = _cut(name, room - len(mark)) + mark
    return before + name + after


def _cut(text: str, n_bytes: int) -> str:
    """The beginning of a text that takes at most so many bytes in a file name."""
    while len(os.fsencode(text)) > n_bytes:
        text = text[:-1]
    return text


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)


def _exchange(temporary: Path, target: Path) -> None:
    """Put a folder in the place of another, which is deleted when that has succeeded."""
    if not os.path.lexists(target):
        temporary.rename(target)
        return
    # A folder cannot replace one that is not empty, so the earlier one is renamed and comes back on an error.
    old = _temporary(target)
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    """Delete a file, a link or a whole folder where it can be deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


# Refuse: in one sentence that names the file, where it can be before the work.


@contextmanager
def writing(what: object, advice: str = "") -> Iterator[None]:
    """Turn an error of the disk in the block into one sentence.

    Args:
        what: what is written: a path, or words with one in them.
        advice: what to do then.

    Raises:
        OutputError: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            reason = "no space is left on the disk"
        elif error.errno in IN_THE_WAY and error.filename:
            reason = f"a file is in the way of {error.filename}"
        else:
            reason = error.strerror or str(error)
        raise OutputError(f"{what} cannot be written: {reason}{advice and '; '}{advice}.") from error


def refuse_existing(*targets: Path, advice: str = "pass --overwrite to replace it") -> None:
    """Raise `OutputError` if there is something under one of these names, be it a dangling link."""
    for target in targets:
        if os.path.lexists(target):
            raise OutputError(f"{target} exists already: {advice}.")


def refuse_links(folder: Path) -> None:
    """Refuse a folder with a predictable name that is a link or holds one.

    This package makes no links. A link would lead a run to write or delete files elsewhere.

    Raises:
        OutputError: naming the link.
    """
    link = folder if folder.is_symlink() else next(_links_in(folder), None)
    if link is not None:
        raise OutputError(f"{link} is a link, which histoscale did not make: delete it.")


def _links_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    yield from _links_in(Path(entry.path))


def refuse_unwritable(target: Path, is_folder: bool = False) -> None:
    """Find out before hours of work whether ``target`` can be written.

    Args:
        target: the file or folder to be written; its own folder may be missing as yet.
        is_folder: whether ``target`` will be a folder.

    Raises:
        OutputError: if ``target`` is of the other kind or its folder cannot be written.
    """
    if target.is_dir() and not is_folder:
        raise OutputError(f"{target} is a folder: choose the name of a file.")
    if target.is_file() and is_folder:
        raise OutputError(f"{target} is a file: choose the name of a folder.")
    # What is missing will be made, so the nearest folder that exists decides.
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{target} cannot be written: {folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target} cannot be written: {folder} is read-only.")


# Lock.


@contextmanager
def lock(folder: Path, name: str = LOCK) -> Iterator[None]:
    """Keep other runs out of a folder during the block; what a dead process held is free.

    Folders that are made for this and empty at the end are removed.

    Args:
        folder: where the results go.
        name: of the file in it that is held; a link under that name is refused.

    Raises:
        OutputError: if another run works there, or the folder cannot be made.
    """
    # Deepest first, which is the order in which they can be removed again.
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    held = FileLock(folder / name, blocking=False)
    with writing(f"The folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire()
        except Timeout:
            raise OutputError(
                f"Another run is at work in {folder}: wait until it has finished, or stop it."
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield
    finally:
        # Delete before the release: afterwards the file may be another run's. Windows deletes it on release.
        with suppress(OSError):
            (folder / name).unlink()
        held.release()
        for path in made:
            with suppress(OSError):  # something is in it
                path.rmdir()
