"""Files of results in a folder: in the way before the work, not after; whole under their names or absent."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from histoscale.errors import OutputError
from histoscale.locking import holding

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
