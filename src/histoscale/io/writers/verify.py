"""Compare a written file with what was meant, before it gets its name."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from histoscale.errors import HistoscaleError, OutputError, reason_of
from histoscale.io.writers.pyramid import ExpectedTile

ReadBack: TypeAlias = Callable[[ExpectedTile], UInt8[np.ndarray, "h w 3"]]
"""Reads from the written file the pixels at the place of a tile."""

BLOCK_PX = 16
LOSSY_TOLERANCE = 16.0
"""Largest mean difference between the means of blocks, in grey levels. JPEG of quality 1 stays below it;
another tile does not."""


class VerificationError(ValueError):
    """The written file differs from what was meant; the text says in what."""


@contextmanager
def verifying(target: Path) -> Iterator[None]:
    """Turn any error inside the block into an `OutputError` that names the file.

    Raises:
        OutputError: with the reason.
    """
    failed = f"{target} failed verification and was deleted"
    try:
        yield
    except (HistoscaleError, MemoryError):
        raise
    except VerificationError as error:
        raise OutputError(f"{failed}: {error}.") from None
    except Exception as error:  # decoders raise exceptions of any class
        raise OutputError(f"{failed}: it cannot be read ({reason_of(error)}).") from error


def refuse_difference(what: str, meant: object, found: object) -> None:
    """Raise `VerificationError` unless the two values are equal."""
    if meant != found:
        raise VerificationError(f"expected {what} {meant}, found {found}")


def refuse_other_pixels(tiles: Iterable[ExpectedTile], is_lossless: bool, read: ReadBack) -> None:
    """Raise `VerificationError` where pixels differ by more than their compression explains."""
    for tile in tiles:
        found = read(tile)
        same = (
            np.array_equal(found, tile.pixels)
            if is_lossless
            else found.shape == tile.pixels.shape
            and np.abs(_block_means(found) - _block_means(tile.pixels)).mean() <= LOSSY_TOLERANCE
        )
        if not same:
            x, y = tile.level_xy
            raise VerificationError(
                f"the tile at ({x}, {y}) of level {tile.level} has other pixels than were written"
            )


def _block_means(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "r c 3"]:
    """Means over blocks of `BLOCK_PX`; those at the right and lower edge may be smaller."""
    sums, counts = pixels.astype(np.float64), np.ones((*pixels.shape[:2], 1))
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis], BLOCK_PX)
        sums, counts = (np.add.reduceat(values, starts, axis=axis) for values in (sums, counts))
    return np.asarray(sums / counts)
