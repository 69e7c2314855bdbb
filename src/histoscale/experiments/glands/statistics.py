"""The figures of the tables, the tests and the recovered shares of each test part, from the scores alone."""

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
    MeanSd,
    corrected,
    paired_test,
    recovered,
)
from histoscale.metrics.objects import Agreement, pooled


class Recall(NamedTuple):
    """Number of glands that were found, and of all annotated glands, of all seeds together."""

    detected: int
    glands: int


class Sides(NamedTuple):
    """Both directions of object Hausdorff, and the area found, of all seeds together; NaN without objects.

    Attributes:
        area: area of the found objects divided by that of the annotated objects.
        from_found: mean distance of the found objects, weighted by area, in pixels.
        from_true: mean distance of the annotated objects, weighted by area, in pixels.
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
        """The figures of each image, by setting and measure."""
        return Grid.of(
            (score.setting, measure, score.seed, score.image, getattr(score, measure))
            for score in self.scores
            for measure in MEASURES
        )

    @cached_property
    def pooled_by_seed(self) -> dict[UNetSetting, list[Agreement]]:
        """The agreement of each seed over all objects of the part, by setting."""
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

    def pooled(self, setting: UNetSetting, measure: Measure) -> MeanSd:
        """Compute a measure over all objects of the part, as the challenge does; mean and sd of the seeds."""
        return MeanSd.of([getattr(one, measure) for one in self.pooled_by_seed[setting]])

    def image_mean(self, setting: UNetSetting, measure: Measure) -> MeanSd:
        """Compute a measure of each image and average over the images; mean and sd of the seeds."""
        return MeanSd.of(self.grid.seed_means(setting, measure))

    def recall(self, setting: UNetSetting, size: Size) -> Recall:
        """Count the glands of a size that were found, and all of that size."""
        scores = self.of(setting)
        detected, glands = (sum(getattr(s, f"{what}_{size}") for s in scores) for what in Recall._fields)
        return Recall(detected, glands)

    def sides(self, setting: UNetSetting) -> Sides:
        """Compute both directions of object Hausdorff."""
        total = pooled(self.pooled_by_seed[setting])  # the sums of `Agreement` are weighted by area already
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
    """Test each model where the paper claims a gain, and where bicubic is treated as the model is.

    A positive difference means that the first setting is better. The p-values of all tests are corrected
    together, by Holm.
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
    """Compute the share of the loss by bicubic that each model's images recover, over all objects.

    `SettingPair.second` is the setting with the loss. The share is NaN if it is not worse than the originals.
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
