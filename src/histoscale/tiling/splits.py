"""Divide sub-images into training, validation and test."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from histoscale.errors import DataError
from histoscale.tiling.crops import Cut

NAMES = "train", "val", "test"


@dataclass(frozen=True)
class Split:
    """The size of each part, in the order of `NAMES`: numbers of sub-images, or shares of all sub-images.

    Attributes:
        parts: whole numbers, or shares that sum to 1.
        are_shares: whether ``parts`` are shares.
    """

    parts: tuple[float, float, float]
    are_shares: bool

    def counts(self, available: int) -> tuple[int, ...]:
        """Compute the number of sub-images of each part.

        Raises:
            DataError: if there are too few sub-images.
        """
        least = tuple(math.ceil(part) for part in self.parts)
        if sum(least) > available:
            raise DataError(
                f"Expected at least {' + '.join(map(str, least))} sub-images, found {available}: "
                "give more slides, a smaller --size or --tissue, or shares such as 80%/10%/10%."
            )
        return apportion(self.parts, available) if self.are_shares else least


def parse_split(text: str) -> Split:
    """Parse numbers such as ``320/40/40`` or shares such as ``80%/10%/10%``.

    Raises:
        DataError: if the text has another form.
    """
    words = [word.strip() for word in text.split("/")]
    are_shares = all(word.endswith("%") for word in words)
    try:
        numbers = [float(word.removesuffix("%")) / 100 if are_shares else int(word) for word in words]
    except ValueError:
        numbers = []
    total = sum(numbers)
    fits = math.isclose(total, 1) if are_shares else total > 0
    if len(numbers) != 3 or min(numbers) < 0 or not fits:
        raise DataError(
            "Expected a split for train, val and test such as 320/40/40, or 80%/10%/10% with a sum of 100 %, "
            f"found {text}."
        )
    train, val, test = numbers
    return Split((train, val, test), are_shares)


def apportion(shares: Sequence[float], n: int) -> tuple[int, ...]:
    """Divide ``n`` sub-images in proportion to ``shares``, at least one for each share above 0."""
    counts = [max(int(share * n + 1e-9), math.ceil(share)) for share in shares]
    # Rounded down, the counts may miss n: adjust the count with the largest error, one at a time.
    while sum(counts) != n:
        step = 1 if sum(counts) < n else -1
        errors = [
            step * (share * n - count) if count + step >= math.ceil(share) > 0 else -math.inf
            for share, count in zip(shares, counts, strict=True)
        ]
        counts[int(np.argmax(errors))] += step
    return tuple(counts)


def split_by_tile(cuts: Sequence[Cut], split: Split, seed: int) -> list[tuple[str, Cut]]:
    """Split sub-images at random, as in the paper; neighbours may be in training and in test.

    Raises:
        DataError: if there are too few sub-images.
    """
    # A random order, cut into consecutive parts; sub-images beyond the counts are not used.
    order = np.random.default_rng(seed).permutation(len(cuts))
    starts = np.cumsum((0, *split.counts(len(cuts))))
    chosen = {
        int(i): name
        for name, start, stop in zip(NAMES, starts[:-1], starts[1:], strict=True)
        for i in order[start:stop]
    }
    return [(chosen[i], cut) for i, cut in enumerate(cuts) if i in chosen]


def split_by_slide(cuts: Sequence[Cut], split: Split, seed: int) -> list[tuple[str, Cut]]:
    """Split whole slides at random, so that no slide is in two parts.

    With numbers, each part gets as many slides as its sub-images need, the smallest part first; the largest
    part gets all other slides. Shares are shares of the slides.

    Raises:
        DataError: if there are too few slides, or they hold too few sub-images.
    """
    slides = list(dict.fromkeys(cut.slide for cut in cuts))
    names = [name for name, part in zip(NAMES, split.parts, strict=True) if part]
    if len(slides) < len(names):
        raise DataError(
            f"Expected at least {len(names)} slides with tissue to keep {', '.join(names)} apart, found "
            f"{len(slides)}: give more slides, or --split-by tile, which does not keep slides apart."
        )
    split.counts(len(cuts))  # raises if all slides together have too few
    rng = np.random.default_rng(seed)
    order = [slides[i] for i in rng.permutation(len(slides))]
    held = Counter(cut.slide for cut in cuts)
    part_of = _by_share(order, split) if split.are_shares else _by_number(order, held, split)
    members = {name: [cut for cut in cuts if part_of[cut.slide] == name] for name in NAMES}
    if not split.are_shares:
        members = {
            name: _draw(members[name], int(part), name, rng)
            for name, part in zip(NAMES, split.parts, strict=True)
        }
    return [(name, cut) for name in NAMES for cut in members[name]]


def _by_share(slides: Sequence[str], split: Split) -> dict[str, str]:
    """Assign slides to parts by shares."""
    counts = apportion(split.parts, len(slides))
    names = [name for name, count in zip(NAMES, counts, strict=True) for _ in range(count)]
    return dict(zip(slides, names, strict=True))


def _by_number(slides: Sequence[str], held: Mapping[str, int], split: Split) -> dict[str, str]:
    """Assign slides to parts by numbers, given the number of sub-images ``held`` by each slide."""
    parts = dict(zip(NAMES, split.parts, strict=True))
    # Smallest part first; what is left goes to the largest.
    *smaller, largest = sorted((name for name in NAMES if parts[name]), key=parts.__getitem__)
    part_of: dict[str, str] = {}
    left = list(slides)
    for name in smaller:
        missing = parts[name]
        while missing > 0 and left:
            slide = left.pop()
            part_of[slide] = name
            missing -= held[slide]
    return part_of | dict.fromkeys(left, largest)


def _draw(cuts: list[Cut], count: int, name: str, rng: np.random.Generator) -> list[Cut]:
    """Draw ``count`` sub-images at random, in their order."""
    if len(cuts) < count:
        raise DataError(
            f"Expected {count} sub-images for {name}, found {len(cuts)} in the slides of that part: give "
            "more slides, shares such as 80%/10%/10%, or --split-by tile."
        )
    return [cuts[i] for i in sorted(rng.permutation(len(cuts))[:count])]
