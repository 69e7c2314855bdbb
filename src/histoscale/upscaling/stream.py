"""Read the output while it is computed: a read waits for the tiles it needs."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import UInt8

from histoscale.io.tile_store import TileStore
from histoscale.upscaling.plan import SlidePlan, TileResult


class TileStream:
    """Takes results from an executor until the tiles of a rectangle are done, then reads them.

    The writer asks in reading order; workers compute ahead of it.

    Args:
        results: of the tiles that are missing in the store, about in reading order.
        on_result: called with every result, after it is in the log.

    Attributes:
        waited_s: seconds that the writer waited for tiles.
    """

    def __init__(
        self,
        plan: SlidePlan,
        store: TileStore,
        results: Iterator[TileResult],
        on_result: Callable[[TileResult], None],
    ):
        self._plan, self._store, self._results, self._on_result = plan, store, results, on_result
        self._done = store.done()
        self._lock = threading.Lock()  # writers may encode in threads
        self.waited_s = 0.0

    def read(self, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """A rectangle of the output.

        Raises:
            HistoscaleError: whatever the executor raises.
        """
        started = time.perf_counter()
        with self._lock:
            # One reader pulls at a time; it also takes in the tiles that other rectangles wait for.
            for tile in self._plan.tiles_under(l0_xy, size_xy):
                while tile not in self._done:
                    self._pull()
            self.waited_s += time.perf_counter() - started
        return self._store.read(l0_xy, size_xy)

    def _pull(self) -> None:
        result = next(self._results)
        self._store.mark_done(result.index)  # in the log first: a tile that was used is never lost
        self._done.add(result.index)
        self._on_result(result)
