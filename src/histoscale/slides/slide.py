"""A slide read piece by piece: the one interface that everything above the formats knows."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import numpy as np
from jaxtyping import UInt8

from histoscale.slides.description import Description


class Slide(ABC):
    """An opened file with one or more resolution levels.

    **Convention.** Pairs are (x, y), arrays rows first. ``l0_xy`` counts in pixels of level 0, ``level_xy``
    in those of the level that is named beside it.

    Attributes:
        description: what the header says.
    """

    description: Description

    @property
    def levels_xy(self) -> tuple[tuple[int, int], ...]:
        """Sizes of all levels, the full one first."""
        return self.description.levels_xy or (self.description.size_xy,)

    @abstractmethod
    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """RGB of a rectangle that lies within the level; white where nothing was scanned.

        Raises:
            InputError: if the rectangle is empty or reaches beyond the level, or its pixels are damaged.
        """

    @abstractmethod
    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """A label, macro or thumbnail, by its name in ``description.associated``.

        Raises:
            InputError: if there is none of that name, or it is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
