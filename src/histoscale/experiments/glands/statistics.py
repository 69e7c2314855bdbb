"""The tables' figures, the tests and the recovered gap: from the scores alone."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from histoscale.experiments.glands.config import BICUBIC, LR, ORIGINAL, Setting
from histoscale.experiments.glands.results import MEASURES, SIZES, GlandScore, Measure, Size
from histoscale.metrics.objects import pooled
from histoscale.metrics.paired import PairedTest, holm, paired_t_test


class Figure(NamedTuple):
    """Mean over the seeds and its spread, the standard deviation; NaN for a single seed."""

    mean: float
    spread: float


class Recall(NamedTuple):
    """How many glands there are, all seeds together, and how many of them were found."""

    detected: int
    glands: int


class Sides(NamedTuple):
    """The two directions of object Hausdorff, all seeds together, and how much was found; NaN of no objects.

    Attributes:
        area: of what was found, as a share of what is annotated.
        from_found: mean distance of the found objects, weighted by area, in pixels.
        from_true: the same of the annotated objects.
    """

    area: float
    from_found: float
    from_true: float


class Contest(NamedTuple):
    """One setting against another on the same images; positive is better for the first, in every measure."""

    first: Setting
    second: Setting
    measure: Measure
    test: PairedTest
    p_holm: float


class Gap(NamedTuple):
    """What share of the way from ``low`` to the original a setting goes; NaN where there is no way to go."""

    setting: Setting
    low: Setting
    measure: Measure
    share: float


@dataclass(frozen=True)
class Part:
    """The scores of a test part.

    Attributes:
        kinds: the columns.
    """

    name: str
    kinds: tuple[str, ...]
    scores: tuple[GlandScore, ...]

    @property
    def n(self) -> int:
        """How many images there are."""
        return len({score.image for score in self.scores})

    @property
    def seeds(self) -> list[int]:
        """Of the trainings."""
        return sorted({score.seed for score in self.scores})

    @property
    def models(self) -> tuple[str, ...]:
        """The kinds that a super-resolution model made."""
        return tuple(kind for kind in self.kinds if kind not in (ORIGINAL, LR, BICUBIC))

    def of(self, setting: Setting) -> list[GlandScore]:
        """The scores of a setting."""
        return [score for score in self.scores if score.setting == setting]

    def pooled(self, setting: Setting, measure: Measure) -> Figure:
        """A measure over all objects of the part, as the challenge defines it."""
        by_seed = [
            pooled(score.agreement for score in self.of(setting) if score.seed == seed) for seed in self.seeds
        ]
        return _over_seeds([getattr(one, measure) for one in by_seed])

    def image_mean(self, setting: Setting, measure: Measure) -> Figure:
        """The mean of the images' own figures."""
        scores = self.of(setting)
        return _over_seeds(
            [
                statistics.fmean(getattr(s.agreement, measure) for s in scores if s.seed == seed)
                for seed in self.seeds
            ]
        )

    def per_image(self, setting: Setting, measure: Measure) -> dict[str, float]:
        """The figure of each image, the mean over the seeds."""
        figures: dict[str, list[float]] = {}
        for score in self.of(setting):
            figures.setdefault(score.image, []).append(getattr(score.agreement, measure))
        return {image: statistics.fmean(values) for image, values in figures.items()}

    def recall(self, setting: Setting, size: Size) -> Recall:
        """Glands of a size."""
        index, scores = SIZES.index(size), self.of(setting)
        return Recall(sum(s.detected[index] for s in scores), sum(s.glands[index] for s in scores))

    def sides(self, setting: Setting) -> Sides:
        """Both directions of object Hausdorff."""
        total = pooled(score.agreement for score in self.of(setting))
        return Sides(
            area=_ratio(total.found_px, total.true_px),
            from_found=_ratio(total.found_hausdorff, total.found_px),
            from_true=_ratio(total.true_hausdorff, total.true_px),
        )

    def seen(self, kind: str) -> int:
        """How many test images the model of a kind was trained on."""
        return len({s.image for s in self.scores if s.tested_on == kind and s.seen == "yes"})


def parts_of(scores: Sequence[GlandScore]) -> list[Part]:
    """The test parts, in order of their names."""
    kinds = tuple(dict.fromkeys(s.tested_on for s in scores if s.trained_on == ORIGINAL))
    return [
        Part(name, kinds, tuple(score for score in scores if score.part == name))
        for name in sorted({score.part for score in scores})
    ]


def contests(part: Part) -> list[Contest]:
    """What the paper claims and what is fair, each model: on each side against both bicubics of that side.

    The p-values of all are corrected together, by Holm.
    """
    original = Setting(ORIGINAL, ORIGINAL)
    pairs = [
        pair
        for model in part.models
        for pair in (
            (Setting(model, ORIGINAL), Setting(BICUBIC, ORIGINAL)),
            (Setting(model, ORIGINAL), Setting(LR, ORIGINAL)),
            (Setting(ORIGINAL, model), Setting(ORIGINAL, BICUBIC)),
            (Setting(model, model), Setting(BICUBIC, BICUBIC)),
            (Setting(model, model), original),
        )
    ]
    tests = [(*pair, m, test) for pair in pairs for m in MEASURES if (test := _tested(part, *pair, m))]
    corrected = holm([test.p for *_, test in tests])
    return [Contest(*found, p) for found, p in zip(tests, corrected, strict=True)]


def gaps(part: Part) -> list[Gap]:
    """How much of what bicubic loses against the originals each model's images win back, pooled."""
    lows = (Setting(ORIGINAL, BICUBIC), Setting(BICUBIC, ORIGINAL), Setting(LR, ORIGINAL))
    return [
        Gap(Setting(ORIGINAL, model), low, measure, _recovered(part, Setting(ORIGINAL, model), low, measure))
        for model in part.models
        for low in lows
        for measure in MEASURES
    ]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _over_seeds(figures: Sequence[float]) -> Figure:
    return Figure(statistics.fmean(figures), statistics.stdev(figures) if len(figures) > 1 else math.nan)


def _tested(part: Part, first: Setting, second: Setting, measure: Measure) -> PairedTest | None:
    """The paired test; None below two images."""
    ours, theirs = part.per_image(first, measure), part.per_image(second, measure)
    sign = -1 if measure == "hausdorff" else 1
    images = [image for image in ours if image in theirs]
    if len(images) < 2:
        return None
    return paired_t_test([sign * ours[image] for image in images], [sign * theirs[image] for image in images])


def _recovered(part: Part, setting: Setting, low: Setting, measure: Measure) -> float:
    top, bottom, ours = (
        part.pooled(one, measure).mean for one in (Setting(ORIGINAL, ORIGINAL), low, setting)
    )
    way = top - bottom
    worse = way >= 0 if measure == "hausdorff" else way <= 0
    return math.nan if worse else (ours - bottom) / way
