"""Read a file back before it gets its name."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from histoscale.errors import HistoscaleError, OutputError
from histoscale.io.decoding import reason_of
from histoscale.io.writers.pyramid import Sample

ReadBack: TypeAlias = Callable[[Sample], UInt8[np.ndarray, "h w 3"]]
"""Gives what a file holds at the place of a sample."""

BLOCK_PX = 16
LOSSY_TOLERANCE = 16.0
"""Mean difference of the means of blocks, in grey levels: the worst JPEG keeps it, another tile does not."""


@contextmanager
def rereading(target: Path) -> Iterator[None]:
    """Turn whatever goes wrong when a file is read back into an `OutputError`: the file must not be kept.

    Raises:
        OutputError: with the reason.
    """
    try:
        yield
    except (HistoscaleError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything
        raise OutputError(
            f"{target} failed verification and was deleted: it cannot be read ({reason_of(error)})."
        ) from error


def refuse_difference(target: Path, what: str, meant: object, found: object) -> None:
    """Raise `OutputError` unless a file says what was meant."""
    if meant != found:
        raise OutputError(
            f"{target} failed verification and was deleted: expected {what} {meant}, found {found}."
        )


def refuse_other_pixels(target: Path, samples: Iterable[Sample], is_lossless: bool, read: ReadBack) -> None:
    """Raise `OutputError` where pixels differ by more than their compression explains."""
    for sample in samples:
        found = read(sample)
        same = (
            np.array_equal(found, sample.pixels)
            if is_lossless
            else found.shape == sample.pixels.shape
            and np.abs(_block_means(found) - _block_means(sample.pixels)).mean() <= LOSSY_TOLERANCE
        )
        if not same:
            x, y = sample.level_xy
            raise OutputError(
                f"{target} failed verification and was deleted: the tile at ({x}, {y}) of level "
                f"{sample.level} has other pixels than were written."
            )


def _block_means(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "r c 3"]:
    sums, counts = pixels.astype(np.float64), np.ones((*pixels.shape[:2], 1))
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis], BLOCK_PX)
        sums, counts = (np.add.reduceat(values, starts, axis=axis) for values in (sums, counts))
    return np.asarray(sums / counts)
