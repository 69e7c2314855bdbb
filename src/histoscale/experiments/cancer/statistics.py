"""The figures of the tables: how well each setting is classified, the share recovered of the loss, and tests.

Intervals resample whole images, because patches of one image are alike. McNemar's and DeLong's tests treat
the patches as independent, so their p-values are too small where many patches come from one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from histoscale.experiments.cancer.predictions import Prediction
from histoscale.experiments.downstream.settings import LOW, ORIGINAL
from histoscale.experiments.statistics import holm_by_key
from histoscale.metrics.classification import (
    DifferenceTest,
    McNemarTest,
    accuracy,
    bootstrap_weights,
    delong_interval,
    delong_test,
    f1_score,
    mcnemar_test,
    percentile_interval,
    roc_auc,
)
from histoscale.metrics.recovery import NAN, Figure, Share, recovered_share

THRESHOLD = 0.5
"""A patch is called positive above this probability."""
DRAWN_AT_ONCE = 100
"""Resampled sets of images that are measured together: their weights are one array of draws x patches."""
MEASURES = ("accuracy", "f1", "auc")


class Estimate(NamedTuple):
    """A figure: mean and standard deviation over the seeds (NaN for one seed), and its 95 % interval."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class SettingRow:
    """One setting.

    Attributes:
        ahead: the lead of the reference in accuracy.
        recovered: share of the accuracy lost by low resolution.
    """

    setting: str
    accuracy: Estimate
    f1: Estimate
    auc: Estimate
    ahead: Estimate
    recovered: Share


@dataclass(frozen=True)
class SeedTest:
    """One seed's classifier in the reference setting against another setting, patch by patch.

    Attributes:
        mcnemar_holm, delong_holm: p-values corrected for all tests of a kind in one task; 1 for the
            reference itself.
    """

    setting: str
    seed: int
    auc: float
    auc_interval: tuple[float, float]
    mcnemar: McNemarTest
    delong: DifferenceTest
    mcnemar_holm: float
    delong_holm: float


@dataclass(frozen=True)
class TaskResult:
    """All figures of one task."""

    task: str
    patches: int
    positive: int
    images: int
    patients: int
    seeds: tuple[int, ...]
    reference: str
    rows: tuple[SettingRow, ...]
    tests: tuple[SeedTest, ...]


@dataclass(frozen=True)
class TaskPredictions:
    """The predictions of one task as arrays, with the patches in one order.

    Attributes:
        truth: whether each patch is positive.
        images, patients: where each patch comes from.
        probabilities: of the positive class, by setting and seed.
    """

    truth: Bool[np.ndarray, " n"]
    images: Sequence[str]
    patients: Sequence[str]
    probabilities: dict[str, dict[int, Float[np.ndarray, " n"]]]

    @classmethod
    def of(cls, rows: Sequence[Prediction]) -> "TaskPredictions":
        """Arrange the rows of one task."""
        patches = {row.patch: row for row in rows}
        place = {patch: i for i, patch in enumerate(patches)}
        found: dict[str, dict[int, Float[np.ndarray, " n"]]] = {}
        for row in rows:
            of_setting = found.setdefault(row.setting, {})
            of_setting.setdefault(row.seed, np.full(len(place), np.nan))[place[row.patch]] = row.probability
        known = patches.values()
        truth = np.array([row.positive for row in known])
        return cls(truth, [row.picture for row in known], [row.patient for row in known], found)


def results_of(predictions: Sequence[Prediction], reference: str, draws: int) -> list[TaskResult]:
    """Compute the figures of each task, in the order of the predictions."""
    tasks = dict.fromkeys(row.task for row in predictions)
    return [
        task_result(task, TaskPredictions.of([r for r in predictions if r.task == task]), reference, draws)
        for task in tasks
    ]


def task_result(task: str, predictions: TaskPredictions, reference: str, draws: int) -> TaskResult:
    """Compute the figures of one task."""
    figures = {name: measure(predictions, name) for name in predictions.probabilities}
    drawn = resampled(predictions, draws)
    return TaskResult(
        task=task,
        patches=predictions.truth.size,
        positive=int(predictions.truth.sum()),
        images=len(set(predictions.images)),
        patients=len(set(predictions.patients) - {""}),
        seeds=tuple(next(iter(predictions.probabilities.values()))),
        reference=reference,
        rows=tuple(_row(name, figures, drawn, reference) for name in predictions.probabilities),
        tests=tuple(_seed_tests(predictions, reference)),
    )


def measure(
    predictions: TaskPredictions, setting: str, weights: Float[np.ndarray, "draws n"] | None = None
) -> Float[np.ndarray, "3 seeds *rows"]:
    """Compute `MEASURES` of every seed in one setting.

    Args:
        weights: how often each resampled set has each patch; without them every patch counts once.
    """
    truth, by_seed = predictions.truth, predictions.probabilities[setting].values()
    return np.stack(
        [
            np.stack([accuracy(truth, p > THRESHOLD, weights) for p in by_seed]),
            np.stack([f1_score(truth, p > THRESHOLD, weights) for p in by_seed]),
            np.stack([roc_auc(truth, p, weights) for p in by_seed]),
        ]
    )


def resampled(predictions: TaskPredictions, draws: int) -> dict[str, Float[np.ndarray, "3 draws"]]:
    """Compute `MEASURES`, means of the seeds, on the same resampled images for every setting."""
    parts: dict[str, list[Float[np.ndarray, "3 some"]]] = {name: [] for name in predictions.probabilities}
    for block in range(-(-draws // DRAWN_AT_ONCE)):
        # The seed is the number of the block, so more draws only add to fewer draws.
        weights = bootstrap_weights(predictions.images, DRAWN_AT_ONCE, seed=block)
        for name, found in parts.items():
            found.append(measure(predictions, name, weights).mean(axis=1))
    return {name: np.concatenate(found, axis=1)[:, :draws] for name, found in parts.items()}


def _row(
    name: str,
    figures: dict[str, Float[np.ndarray, "3 seeds"]],
    drawn: dict[str, Float[np.ndarray, "3 draws"]],
    reference: str,
) -> SettingRow:
    of_accuracy, of_f1, of_auc = map(estimate, figures[name], drawn[name])
    # Differences are resampled, not the two sides: both sides have the same images in every draw.
    ahead = estimate(figures[reference][0] - figures[name][0], drawn[reference][0] - drawn[name][0])
    own, original, low = (
        Figure(float(figures[key][0].mean()), drawn[key][0]) for key in (name, ORIGINAL, LOW)
    )
    is_lost = original.mean > low.mean
    recovered = recovered_share(own, original, low) if is_lost else Share(NAN, NAN, NAN)
    return SettingRow(name, of_accuracy, of_f1, of_auc, ahead, recovered)


def estimate(of_seeds: Float[np.ndarray, " seeds"], drawn: Float[np.ndarray, " draws"]) -> Estimate:
    """Summarise a figure by its seeds and by the middle 95 % of resampled figures."""
    sd = float(of_seeds.std(ddof=1)) if of_seeds.size > 1 else NAN
    return Estimate(float(of_seeds.mean()), sd, *percentile_interval(drawn))


def _seed_tests(predictions: TaskPredictions, reference: str) -> list[SeedTest]:
    """Test every seed in every setting against the same seed in the reference setting."""
    truth, by_setting = predictions.truth, predictions.probabilities
    mcnemar, delong = {}, {}
    for setting, of_seeds in by_setting.items():
        for seed, other in of_seeds.items():
            own = by_setting[reference][seed]
            mcnemar[setting, seed] = mcnemar_test(truth, own > THRESHOLD, other > THRESHOLD)
            delong[setting, seed] = delong_test(truth, own, other)
    # The reference against itself is no test, and must not count in the corrections.
    others = [key for key in mcnemar if key[0] != reference]
    mcnemar_p = holm_by_key({key: mcnemar[key].exact for key in others})
    delong_p = holm_by_key({key: delong[key].p for key in others})
    return [
        SeedTest(
            setting=setting,
            seed=seed,
            auc=float(roc_auc(truth, other)),
            auc_interval=delong_interval(truth, other),
            mcnemar=mcnemar[setting, seed],
            delong=delong[setting, seed],
            mcnemar_holm=mcnemar_p.get((setting, seed), 1.0),
            delong_holm=delong_p.get((setting, seed), 1.0),
        )
        for setting, of_seeds in by_setting.items()
        for seed, other in of_seeds.items()
    ]
