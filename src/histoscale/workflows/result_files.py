"""Files of results in a folder: found to be in the way before the work, not after."""

from collections.abc import Sequence
from pathlib import Path

from histoscale.errors import OutputError


def prepare(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Make the folder that files of these names are to be written into.

    Raises:
        OutputError: if one of them is there and may not be replaced, or the folder cannot be made.
    """
    present = [name for name in names if (folder / name).exists()]
    if present and not overwrite:
        raise OutputError(f"{folder / present[0]} exists already; pass --overwrite to replace it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from None
