"""Tell files apart, so that a computed pixel is never taken for one of another file."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

END_BYTES = 2**20
"""How much of the beginning and of the end is read: a slide is too large to be read for this."""


def fingerprint(path: Path) -> dict[str, Any]:
    """What changes when a file is written again: its content and the time of change, as JSON values.

    Raises:
        OSError: if the file is missing or cannot be read.
    """
    newest_ns = max((file.stat().st_mtime_ns for file in _files(path)), default=0)
    return {"changed_ns": newest_ns, "sha256": content_digest(path)}


def content_digest(path: Path) -> str:
    """A hash of the size, the beginning and the end of a file; of a folder, of its names and sizes.

    A copy has the same one, wherever it is and whenever it was made.

    Raises:
        OSError: if the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for part in _files(path):
            digest.update(os.fsencode(f"{part.relative_to(path).as_posix()} {part.stat().st_size}\n"))
        return digest.hexdigest()
    size = path.stat().st_size
    digest.update(f"{size}\n".encode())
    with path.open("rb") as file:
        digest.update(file.read(END_BYTES))
        file.seek(max(size - END_BYTES, END_BYTES))
        digest.update(file.read())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or all files of a folder in a fixed order."""
    yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
