"""Which sub-images are for training, which for validation and which for the test."""

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
    """How much goes into `NAMES`, in their order: numbers of sub-images, or shares of all that there are.

    Attributes:
        parts: whole numbers, or shares that add up to 1.
    """

    parts: tuple[float, float, float]
    are_shares: bool

    def counts(self, available: int) -> tuple[int, ...]:
        """Sub-images for each part.

        Raises:
            DataError: if there are too few.
        """
        least = tuple(math.ceil(part) for part in self.parts)
        if sum(least) > available:
            raise DataError(
                f"Wanted {' + '.join(map(str, least))} sub-images or more, but the slides gave {available}: "
                "give more slides, a smaller --size or --tissue, or shares such as 80%/10%/10%."
            )
        return apportion(self.parts, available) if self.are_shares else least


def parse_split(text: str) -> Split:
    """``320/40/40`` as numbers, ``80%/10%/10%`` as shares.

    Raises:
        DataError: if it is not of that form.
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
            "Wanted a split for train, val and test such as 320/40/40, or 80%/10%/10% with a sum of 100 %, "
            f"got {text}."
        )
    train, val, test = numbers
    return Split((train, val, test), are_shares)


def apportion(shares: Sequence[float], n: int) -> tuple[int, ...]:
    """Share out ``n`` things, at least one to every share above 0, the rounding to where it errs least."""
    counts = [max(int(share * n + 1e-9), math.ceil(share)) for share in shares]
    while sum(counts) != n:
        step = 1 if sum(counts) < n else -1
        errors = [
            step * (share * n - count) if count + step >= math.ceil(share) > 0 else -math.inf
            for share, count in zip(shares, counts, strict=True)
        ]
        counts[int(np.argmax(errors))] += step
    return tuple(counts)


def split_by_tile(cuts: Sequence[Cut], split: Split, seed: int) -> list[tuple[str, Cut]]:
    """Every sub-image by itself at random, as in the paper: neighbours may be in train and in test.

    Raises:
        DataError: if there are too few sub-images.
    """
    order = np.random.default_rng(seed).permutation(len(cuts))
    starts = np.cumsum((0, *split.counts(len(cuts))))
    chosen = {
        int(i): name
        for name, start, stop in zip(NAMES, starts[:-1], starts[1:], strict=True)
        for i in order[start:stop]
    }
    return [(chosen[i], cut) for i, cut in enumerate(cuts) if i in chosen]


def split_by_slide(cuts: Sequence[Cut], split: Split, seed: int) -> list[tuple[str, Cut]]:
    """Whole slides at random: no slide is in two parts.

    Numbers of sub-images are drawn from as many slides as hold them, the smallest part first; the largest
    part has all other slides. Shares count slides.

    Raises:
        DataError: if there are too few slides, or they hold too few sub-images.
    """
    slides = list(dict.fromkeys(cut.slide for cut in cuts))
    wanted = [name for name, part in zip(NAMES, split.parts, strict=True) if part]
    if len(slides) < len(wanted):
        raise DataError(
            f"Wanted at least {len(wanted)} slides to keep {', '.join(wanted)} apart, got {len(slides)} with "
            "tissue: give more, or --split-by tile, which lets neighbours stand on both sides."
        )
    split.counts(len(cuts))
    rng = np.random.default_rng(seed)
    order = [slides[i] for i in rng.permutation(len(slides))]
    held = Counter(cut.slide for cut in cuts)
    home = _by_share(order, split) if split.are_shares else _by_number(order, held, split)
    members = {name: [cut for cut in cuts if home[cut.slide] == name] for name in NAMES}
    if not split.are_shares:
        members = {
            name: _draw(members[name], int(part), name, rng)
            for name, part in zip(NAMES, split.parts, strict=True)
        }
    return [(name, cut) for name in NAMES for cut in members[name]]


def _by_share(slides: Sequence[str], split: Split) -> dict[str, str]:
    """Which part each slide goes to."""
    counts = apportion(split.parts, len(slides))
    names = [name for name, count in zip(NAMES, counts, strict=True) for _ in range(count)]
    return dict(zip(slides, names, strict=True))


def _by_number(slides: Sequence[str], held: Mapping[str, int], split: Split) -> dict[str, str]:
    """The same, given how many sub-images each slide holds."""
    parts = dict(zip(NAMES, split.parts, strict=True))
    *smaller, largest = sorted((name for name in NAMES if parts[name]), key=parts.__getitem__)
    home: dict[str, str] = {}
    left = list(slides)
    for name in smaller:
        missing = parts[name]
        while missing > 0 and left:
            slide = left.pop()
            home[slide] = name
            missing -= held[slide]
    return home | dict.fromkeys(left, largest)


def _draw(cuts: list[Cut], count: int, name: str, rng: np.random.Generator) -> list[Cut]:
    if len(cuts) < count:
        raise DataError(
            f"Wanted {count} sub-images for {name} from slides of its own, but those hold {len(cuts)}: give "
            "more slides, shares such as 80%/10%/10%, or --split-by tile."
        )
    return [cuts[i] for i in sorted(rng.permutation(len(cuts))[:count])]
