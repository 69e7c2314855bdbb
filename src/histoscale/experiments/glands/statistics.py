"""The figures of the tables, the tests and the recovered share of each test part, from the scores alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands.config import LR, UNetSetting
from histoscale.experiments.glands.scores import MEASURES, GlandScore, Measure, Size
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.statistics import (
    CorrectedTest,
    Grid,
    corrected,
    deviation,
    mean,
    paired_test,
    recovered,
)
from histoscale.metrics.objects import Agreement, pooled


class SeedMean(NamedTuple):
    """Mean over the seeds, and its standard deviation; NaN for a single seed."""

    mean: float
    sd: float


class Recall(NamedTuple):
    """Number of annotated glands, all seeds together, and how many of them were found."""

    detected: int
    glands: int


class Sides(NamedTuple):
    """Both directions of object Hausdorff, all seeds together, and the area found; NaN without objects.

    Attributes:
        area: of what was found, as a share of what is annotated.
        from_found: mean distance of the found objects, weighted by area, in pixels.
        from_true: the same of the annotated objects.
    """

    area: float
    from_found: float
    from_true: float


class SettingPair(NamedTuple):
    """One setting against another in one measure."""

    first: UNetSetting
    second: UNetSetting
    measure: Measure


@dataclass(frozen=True)
class PartScores:
    """The scores of a test part.

    Attributes:
        kinds: kinds of images, the columns of the tables.
    """

    name: str
    kinds: tuple[str, ...]
    scores: tuple[GlandScore, ...]

    @property
    def n(self) -> int:
        """Number of images."""
        return len({score.image for score in self.scores})

    @property
    def seeds(self) -> list[int]:
        """Seeds of the trainings."""
        return sorted({score.seed for score in self.scores})

    @property
    def models(self) -> tuple[str, ...]:
        """The kinds that a super-resolution model made."""
        return tuple(kind for kind in self.kinds if kind not in (ORIGINAL, LR, BICUBIC))

    @cached_property
    def grid(self) -> Grid[UNetSetting, Measure]:
        """The figures of the single images, by setting and measure."""
        return Grid.of(
            (score.setting, measure, score.seed, score.image, getattr(score, measure))
            for score in self.scores
            for measure in MEASURES
        )

    @cached_property
    def pooled_by_seed(self) -> dict[UNetSetting, list[Agreement]]:
        """The agreement over all objects of the part, of each seed, by setting."""
        return {
            setting: [
                pooled(score.agreement for score in self.of(setting) if score.seed == seed)
                for seed in self.seeds
            ]
            for setting in self.grid.rows
        }

    def of(self, setting: UNetSetting) -> list[GlandScore]:
        """Select the scores of a setting."""
        return [score for score in self.scores if score.setting == setting]

    def pooled(self, setting: UNetSetting, measure: Measure) -> SeedMean:
        """Compute a measure over all objects of the part, as the challenge defines it."""
        by_seed = [getattr(one, measure) for one in self.pooled_by_seed[setting]]
        return SeedMean(mean(by_seed), deviation(by_seed))

    def image_mean(self, setting: UNetSetting, measure: Measure) -> SeedMean:
        """Average the figures of the single images."""
        by_seed = self.grid.seed_means(setting, measure)
        return SeedMean(mean(by_seed), deviation(by_seed))

    def recall(self, setting: UNetSetting, size: Size) -> Recall:
        """Count the glands of a size."""
        scores = self.of(setting)
        detected, glands = (sum(getattr(s, f"{what}_{size}") for s in scores) for what in Recall._fields)
        return Recall(detected, glands)

    def sides(self, setting: UNetSetting) -> Sides:
        """Compute both directions of object Hausdorff."""
        total = pooled(self.pooled_by_seed[setting])
        return Sides(
            area=_ratio(total.found_px, total.true_px),
            from_found=_ratio(total.found_hausdorff, total.found_px),
            from_true=_ratio(total.true_hausdorff, total.true_px),
        )

    def seen(self, kind: str) -> int:
        """Count the test images that the model of a kind was trained on."""
        return len({s.image for s in self.scores if s.tested_on == kind and s.seen == "yes"})


def parts_of(scores: Sequence[GlandScore]) -> list[PartScores]:
    """Divide scores into the test parts, in order of their names."""
    kinds = tuple(dict.fromkeys(s.tested_on for s in scores if s.trained_on == ORIGINAL))
    return [
        PartScores(name, kinds, tuple(score for score in scores if score.part == name))
        for name in sorted({score.part for score in scores})
    ]


def compare_settings(part: PartScores) -> dict[SettingPair, CorrectedTest]:
    """Test the paper's claims and their fair versions for each model; a positive difference is better.

    The p-values of all tests are corrected together, by Holm.
    """
    pairs = [
        pair
        for model in part.models
        for pair in (
            (UNetSetting(model, ORIGINAL), UNetSetting(BICUBIC, ORIGINAL)),
            (UNetSetting(model, ORIGINAL), UNetSetting(LR, ORIGINAL)),
            (UNetSetting(ORIGINAL, model), UNetSetting(ORIGINAL, BICUBIC)),
            (UNetSetting(model, model), UNetSetting(BICUBIC, BICUBIC)),
            (UNetSetting(model, model), UNetSetting(ORIGINAL, ORIGINAL)),
        )
    ]
    tests = {}
    for (first, second), measure in product(pairs, MEASURES):
        ours, theirs = (part.grid.by_image(setting, measure) for setting in (first, second))
        if test := paired_test(ours, theirs, smaller_is_better=measure == "hausdorff"):
            tests[SettingPair(first, second, measure)] = test
    return corrected(tests)


def recovered_shares(part: PartScores) -> dict[SettingPair, float]:
    """Compute what share of the loss by bicubic each model's images recover, pooled.

    `SettingPair.second` is the setting with the loss. NaN where it is not worse than the originals.
    """
    lows = (UNetSetting(ORIGINAL, BICUBIC), UNetSetting(BICUBIC, ORIGINAL), UNetSetting(LR, ORIGINAL))
    shares = {}
    for model, low, measure in product(part.models, lows, MEASURES):
        own, original, lost = (
            part.pooled(setting, measure).mean
            for setting in (UNetSetting(ORIGINAL, model), UNetSetting(ORIGINAL, ORIGINAL), low)
        )
        key = SettingPair(UNetSetting(ORIGINAL, model), low, measure)
        shares[key] = recovered(own, original, lost, smaller_is_better=measure == "hausdorff")
    return shares


def _ratio(amount: float, total: float) -> float:
    return amount / total if total else math.nan
