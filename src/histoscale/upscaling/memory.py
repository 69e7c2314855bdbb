"""How much memory a slide needs, and which tile fits: arithmetic only, before any work."""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import ConfigError, OutputError
from histoscale.io.tile_store import stored_bytes
from histoscale.io.writers.base import Encoding
from histoscale.io.writers.pyramid import estimate_bytes, scratch_bytes
from histoscale.resources import USABLE_SHARE, available_bytes, format_bytes
from histoscale.upscaling.plan import ModelSetting

TILE_SIDES_PX = (1024, 512, 256)
"""Larger ones are a tenth faster, and take half as much memory again."""
BLOCK_PX = 512
"""Side of the blocks a tile is rendered in: they bound the memory, and larger ones are not faster."""
TILES_PER_WORKER = 4
"""A slide is cut into at least so many tiles for each, so that none waits long for the last."""
WORKER_SHARE_BYTES = 1200 * 2**20
COORDINATOR_BYTES = 160 * 2**20
"""What the default limit grants, together 2.5 GiB for two workers; the second covers the writer as well."""
LIBRARY_SLACK = 3.0
"""Convolutions keep rearranged copies that are not counted, and freed memory is kept and used in pieces."""
BEGUN_BYTES = 64 * 2**20
"""What the libraries add to a worker with its first tiles."""
HEADER_BYTES = 64 * 2**10
"""Metadata of an output: the record, OME-XML, a colour profile."""
BYTES_PER_OUTPUT_PX = 3 * 4
"""A finished tile, its cheap counterpart, and both on their way to the disk."""


@dataclass(frozen=True)
class MemoryNeed:
    """The memory that one worker needs.

    Attributes:
        resident_bytes: before a tile: libraries and weights.
        encoding_px, kept_px: bytes for each pixel of a tile's window, while it is encoded and afterwards.
        rendering_px, rendering: bytes for each input pixel under a block that is rendered, and for any block.
    """

    resident_bytes: int
    encoding_px: float
    kept_px: float
    rendering_px: float
    rendering: int

    def bytes_for(self, tile_px: int, scale: tuple[float, float], margin_px: int) -> int:
        """Peak of one worker."""
        window, block = (
            math.prod(math.ceil(side / factor) + more for factor in scale)
            for side, more in ((tile_px, 2 * margin_px), (min(tile_px, BLOCK_PX), 0))
        )
        rendering = self.kept_px * window + self.rendering_px * block + self.rendering
        # Encoding is over when rendering begins, so the larger of the two counts.
        tensors = max(self.encoding_px * window, rendering)
        begun = self.resident_bytes + BEGUN_BYTES
        return int(begun + LIBRARY_SLACK * tensors + BYTES_PER_OUTPUT_PX * tile_px**2)


class WorkerReport(NamedTuple):
    """The answer of a worker before the work.

    Attributes:
        setting: of the model.
        need: the memory that it needs.
        is_slow: whether the processor emulates the precision.
    """

    setting: ModelSetting
    need: MemoryNeed
    is_slow: bool = False


@dataclass(frozen=True)
class Budget:
    """The chosen tile and number of workers.

    Attributes:
        peak_bytes: of all processes together.
    """

    tile_px: int
    workers: int
    peak_bytes: int


def default_workers() -> int:
    """One for each core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit(given: int | None, workers: int, is_here: bool = True) -> int:
    """Bytes for all processes together: as given, or a share for each worker as far as it is available.

    Args:
        is_here: whether the workers are on this machine, whose memory then is the limit.
    """
    if given is not None:
        return given
    # The usual share is a promise that does not depend on the machine; less memory lowers it.
    usual, available = COORDINATOR_BYTES + workers * WORKER_SHARE_BYTES, available_bytes()
    return min(usual, int(USABLE_SHARE * available)) if is_here else usual


def choose_tile(
    need: MemoryNeed,
    size_xy: tuple[int, int],
    scale: tuple[float, float],
    margin_px: int,
    workers: int,
    limit_bytes: int,
    tile_px: int | None = None,
    least_workers: int = 1,
) -> Budget:
    """Choose the largest tile that fits, or the given one; fewer workers if none fits.

    Args:
        scale: down and across.
        margin_px: input pixels around a tile that its window holds at most.
        tile_px: given by an option or by the run that is resumed.
        least_workers: do not go below this number; those of a cluster are there anyway.

    Raises:
        ConfigError: if not even the least_workers workers fit.
    """
    sides = (tile_px,) if tile_px else TILE_SIDES_PX
    # Small slides get small tiles, so that no worker waits long for the last tile of another.
    few = [s for s in sides if math.prod(-(-n // s) for n in size_xy) >= TILES_PER_WORKER * workers]
    # More workers go before larger tiles: a worker more saves far more time than a larger tile does.
    for count in range(workers, least_workers - 1, -1):
        for side in few or sides[-1:]:
            peak = COORDINATOR_BYTES + count * need.bytes_for(side, scale, margin_px)
            if peak <= limit_bytes:
                return Budget(side, count, peak)
    least = COORDINATOR_BYTES + least_workers * need.bytes_for(sides[-1], scale, margin_px)
    many, verb = ("One worker", "needs") if least_workers == 1 else (f"{least_workers} workers", "need")
    raise ConfigError(
        f"{many} with {sides[-1]} px tiles {verb} {format_bytes(least)}, but the limit is "
        f"{format_bytes(limit_bytes)}: raise --max-memory."
    )


def disk_bytes(
    size_xy: tuple[int, int], tile_px: int, encoding: Encoding, associated_bytes: int = 0
) -> tuple[int, int]:
    """Bytes of temporary files (tiles and lower levels), and of the output, estimated from above.

    Args:
        associated_bytes: of the pixels of label, macro and thumbnail.
    """
    temporary = stored_bytes(size_xy, tile_px) + scratch_bytes(size_xy)
    return temporary, estimate_bytes(size_xy, encoding) + associated_bytes + HEADER_BYTES


def ensure_disk(folder: Path, needed_bytes: int) -> None:
    """Raise `OutputError` if the disk of a folder has less free space than that."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise OutputError(
            f"{folder} has {format_bytes(free)} of free space, but temporary files and output need up to "
            f"{format_bytes(needed_bytes)}."
        )
