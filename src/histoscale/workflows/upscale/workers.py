"""Where tiles are computed: in this process, or in spawned ones with a thread each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from histoscale.workflows.upscale.slide_plan import TileJob, TileResult

T = TypeVar("T")


class Executor(Protocol):
    """Carries out tiles; a context manager that lets go of its workers at the end, whatever happens.

    Attributes:
        workers: how many tiles are computed at once.
    """

    workers: int

    def ask(self, question: Callable[..., T], *arguments: object) -> T:
        """The answer of a picklable function, called on one of the workers."""

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute tiles, about in the order given, and yield each result when that tile lies in the store.

        A lost worker's tiles are computed again.

        Raises:
            HistoscaleError: if a tile cannot be computed, or workers are lost again and again.
        """
