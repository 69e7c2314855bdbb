"""The figures of the tables: how well each setting is classified, the share recovered of the loss, and tests.

Intervals resample whole images, whose patches are alike; McNemar's and DeLong's tests take the patches as
independent, so that their p-values are too small where many come from one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from histoscale.experiments.cancer.predictions import Prediction
from histoscale.experiments.downstream.settings import LOW, ORIGINAL
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
from histoscale.metrics.paired import holm
from histoscale.metrics.recovery import NAN, Figure, Share, recovered_share

THRESHOLD = 0.5
DRAWN_AT_ONCE = 100
MEASURES = ("accuracy", "f1", "auc")


class Estimate(NamedTuple):
    """A figure with its 95 % interval; ``sd`` is that of the seeds, NaN for a single one."""

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
    """One seed's classifier on the reference against another setting, patch by patch; Holm over a task."""

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
    pictures: int
    patients: int
    seeds: tuple[int, ...]
    reference: str
    rows: tuple[SettingRow, ...]
    tests: tuple[SeedTest, ...]


@dataclass(frozen=True)
class TaskPredictions:
    """The predictions of one task by setting and seed, and the true classes."""

    truth: Bool[np.ndarray, " n"]
    pictures: Sequence[str]
    patients: Sequence[str]
    probabilities: dict[str, dict[int, Float[np.ndarray, " n"]]]


def results_of(predictions: Sequence[Prediction], reference: str, draws: int) -> list[TaskResult]:
    """Compute the figures of each task, in the order of the predictions."""
    tasks = dict.fromkeys(row.task for row in predictions)
    return [
        task_result(task, gather([r for r in predictions if r.task == task]), reference, draws)
        for task in tasks
    ]


def gather(rows: Sequence[Prediction]) -> TaskPredictions:
    """Arrange the predictions of one task as arrays, with the patches in one order."""
    patches = {row.patch: row for row in rows}
    place = {patch: i for i, patch in enumerate(patches)}
    found: dict[str, dict[int, Float[np.ndarray, " n"]]] = {}
    for row in rows:
        of_setting = found.setdefault(row.setting, {})
        of_setting.setdefault(row.seed, np.full(len(place), np.nan))[place[row.patch]] = row.probability
    known = list(patches.values())
    truth = np.array([row.positive for row in known])
    return TaskPredictions(truth, [row.picture for row in known], [row.patient for row in known], found)


def task_result(task: str, predictions: TaskPredictions, reference: str, draws: int) -> TaskResult:
    """Compute the figures of one task."""
    figures = {name: measure(predictions, name) for name in predictions.probabilities}
    drawn = resampled(predictions, draws)
    return TaskResult(
        task=task,
        patches=predictions.truth.size,
        positive=int(predictions.truth.sum()),
        pictures=len(set(predictions.pictures)),
        patients=len(set(predictions.patients) - {""}),
        seeds=tuple(next(iter(predictions.probabilities.values()))),
        reference=reference,
        rows=tuple(_row(name, figures, drawn, reference) for name in predictions.probabilities),
        tests=tuple(_seed_tests(predictions, reference)),
    )


def measure(
    predictions: TaskPredictions, setting: str, weights: Float[np.ndarray, "draws n"] | None = None
) -> Float[np.ndarray, "3 seeds *rows"]:
    """Compute `MEASURES` of every seed in one setting."""
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
        weights = bootstrap_weights(predictions.pictures, DRAWN_AT_ONCE, seed=block)
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
    return SettingRow(
        name,
        of_accuracy,
        of_f1,
        of_auc,
        ahead=estimate(figures[reference][0] - figures[name][0], drawn[reference][0] - drawn[name][0]),
        recovered=_recovered(name, figures, drawn),
    )


def estimate(of_seeds: Float[np.ndarray, " seeds"], drawn: Float[np.ndarray, " draws"]) -> Estimate:
    """Summarise a figure: mean and standard deviation over seeds, and the middle 95 % of resampled ones."""
    sd = float(of_seeds.std(ddof=1)) if of_seeds.size > 1 else NAN
    return Estimate(float(of_seeds.mean()), sd, *percentile_interval(drawn))


def _recovered(
    name: str,
    figures: dict[str, Float[np.ndarray, "3 seeds"]],
    drawn: dict[str, Float[np.ndarray, "3 draws"]],
) -> Share:
    """Compute (accuracy - low) / (original - low), means of all seeds; NaN where nothing was lost."""
    own, original, low = (
        Figure(float(figures[key][0].mean()), drawn[key][0]) for key in (name, ORIGINAL, LOW)
    )
    if original.mean <= low.mean:
        return Share(NAN, NAN, NAN)
    return recovered_share(own, original, low)


def _seed_tests(predictions: TaskPredictions, reference: str) -> list[SeedTest]:
    """Test every seed in every setting against the reference."""
    truth, found = predictions.truth, []
    for setting, of_seeds in predictions.probabilities.items():
        for seed, other in of_seeds.items():
            own = predictions.probabilities[reference][seed]
            mcnemar = mcnemar_test(truth, own > THRESHOLD, other > THRESHOLD)
            compared = delong_test(truth, own, other)
            area = float(roc_auc(truth, other))
            found.append((setting, seed, area, delong_interval(truth, other), mcnemar, compared))
    others = [i for i, one in enumerate(found) if one[0] != reference]
    mcnemar_p = dict(zip(others, holm([found[i][4].exact for i in others]), strict=True))
    delong_p = dict(zip(others, holm([found[i][5].p for i in others]), strict=True))
    return [SeedTest(*one, mcnemar_p.get(i, 1.0), delong_p.get(i, 1.0)) for i, one in enumerate(found)]
