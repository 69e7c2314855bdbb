"""How much disk a slide takes, said and checked before anything starts."""

import shutil
from pathlib import Path

from histoscale.errors import OutputError
from histoscale.slides.finished_slide import Encoding
from histoscale.slides.memory import in_words
from histoscale.slides.pyramid_levels import scratch_bytes
from histoscale.slides.pyramid_writer import estimate_bytes
from histoscale.slides.tile_store import stored_bytes


def disk_bytes(size_xy: tuple[int, int], tile_px: int, encoding: Encoding) -> tuple[int, int]:
    """Bytes on the way, of tiles and lower levels, and, estimated from above, of the output."""
    return stored_bytes(size_xy, tile_px) + scratch_bytes(size_xy), estimate_bytes(size_xy, encoding)


def ensure_disk(folder: Path, needed_bytes: int) -> None:
    """Raise `OutputError` if the disk of a folder has not so much space left."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise OutputError(
            f"{folder} has {in_words(free)} left, and store and output take up to {in_words(needed_bytes)}."
        )
