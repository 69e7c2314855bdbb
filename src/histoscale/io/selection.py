"""Which image of a file is the slide, if the file holds several: one rule for all formats."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from histoscale.io.slide import Mpp

SAME_MPP = 1.5
"""Images whose mpp differs from the finest by less than this factor are compared by their extent."""
ASSOCIATED_NAME = re.compile(r"(label|macro|overview|thumbnail)\b", re.IGNORECASE)
MOST_ASSOCIATED_PX = 2**24
"""Pixels of an associated image, which is held in memory; a larger image is another slide."""
MOST_NAMED = 4
"""Images that a remark names."""


class Candidate(NamedTuple):
    """An image that may be the slide."""

    name: str
    size_xy: tuple[int, int]
    mpp: Mpp | None = None

    @property
    def shown(self) -> str:
        """Name and size, for remarks."""
        return f"'{self.name}' ({self.size_xy[0]} x {self.size_xy[1]} px)"


def slide_among(candidates: Sequence[Candidate]) -> int:
    """Find the largest of the images at the finest mpp; the first of several of the same size.

    An image of unknown mpp comes after those at the finest and before coarser ones. Label, macro, overview
    and thumbnail may be larger than the slide, which can be a small region; names tell them apart.
    """
    finest = min((max(candidate.mpp) for candidate in candidates if candidate.mpp), default=math.inf)

    def rank(index: int) -> tuple[bool, int, int]:
        name, (width, height), mpp = candidates[index]
        fineness = 1 if mpp is None else 2 * (max(mpp) <= finest * SAME_MPP)
        return ASSOCIATED_NAME.match(name) is None, fineness, width * height

    return max(range(len(candidates)), key=rank)


def note_on_others(slide: Candidate, others: Sequence[Candidate]) -> str | None:
    """A remark that names the slide and the images beside it; None if there are none."""
    if not others:
        return None
    named = ", ".join(other.shown for other in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"the slide is {slide.shown}, the largest image at the finest mpp, and not {named}{more}"
