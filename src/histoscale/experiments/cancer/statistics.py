"""Tables as data: how well each setting is read, what it recovers of the accuracy lost, and tests.

Intervals resample whole pictures, whose patches are alike; McNemar's and DeLong's tests take the patches as
independent, so that their p-values are too small where many come from one picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from histoscale.experiments.cancer.predictions import Prediction
from histoscale.experiments.methods import LOW, ORIGINAL
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
class Row:
    """One setting.

    Attributes:
        ahead: what the reference is ahead by in accuracy.
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
    """One seed's classifier on the reference and on another setting, patch by patch; Holm over a task."""

    setting: str
    seed: int
    auc: float
    auc_interval: tuple[float, float]
    mcnemar: McNemarTest
    delong: DifferenceTest
    mcnemar_holm: float
    delong_holm: float


@dataclass(frozen=True)
class TaskTable:
    """All of one task."""

    task: str
    patches: int
    positive: int
    pictures: int
    patients: int
    seeds: tuple[int, ...]
    reference: str
    rows: tuple[Row, ...]
    tests: tuple[SeedTest, ...]


@dataclass(frozen=True)
class Answers:
    """What the classifiers of one task said, and the truth."""

    truth: Bool[np.ndarray, " n"]
    pictures: Sequence[str]
    patients: Sequence[str]
    said: dict[str, dict[int, Float[np.ndarray, " n"]]]


def tables_of(predictions: Sequence[Prediction], reference: str, draws: int) -> list[TaskTable]:
    """One table a task, in the order in which the tasks come."""
    tasks = dict.fromkeys(row.task for row in predictions)
    return [
        table_of(task, gather([r for r in predictions if r.task == task]), reference, draws) for task in tasks
    ]


def gather(rows: Sequence[Prediction]) -> Answers:
    """The predictions of one task as arrays, patches in one order."""
    patches = {row.patch: row for row in rows}
    place = {patch: i for i, patch in enumerate(patches)}
    said: dict[str, dict[int, Float[np.ndarray, " n"]]] = {}
    for row in rows:
        of_setting = said.setdefault(row.setting, {})
        of_setting.setdefault(row.seed, np.full(len(place), np.nan))[place[row.patch]] = row.probability
    known = list(patches.values())
    truth = np.array([row.positive for row in known])
    return Answers(truth, [row.picture for row in known], [row.patient for row in known], said)


def table_of(task: str, answers: Answers, reference: str, draws: int) -> TaskTable:
    """One task's table."""
    figures = {name: measure(answers, name) for name in answers.said}
    drawn = resampled(answers, draws)
    return TaskTable(
        task=task,
        patches=answers.truth.size,
        positive=int(answers.truth.sum()),
        pictures=len(set(answers.pictures)),
        patients=len(set(answers.patients) - {""}),
        seeds=tuple(next(iter(answers.said.values()))),
        reference=reference,
        rows=tuple(_row(name, figures, drawn, reference) for name in answers.said),
        tests=tuple(_seed_tests(answers, reference)),
    )


def measure(
    answers: Answers, setting: str, weights: Float[np.ndarray, "draws n"] | None = None
) -> Float[np.ndarray, "3 seeds *rows"]:
    """`MEASURES` of every seed on one setting."""
    truth, said = answers.truth, answers.said[setting].values()
    return np.stack(
        [
            np.stack([accuracy(truth, p > THRESHOLD, weights) for p in said]),
            np.stack([f1_score(truth, p > THRESHOLD, weights) for p in said]),
            np.stack([roc_auc(truth, p, weights) for p in said]),
        ]
    )


def resampled(answers: Answers, draws: int) -> dict[str, Float[np.ndarray, "3 draws"]]:
    """`MEASURES`, means of the seeds, on the same resampled pictures for every setting."""
    parts: dict[str, list[Float[np.ndarray, "3 some"]]] = {name: [] for name in answers.said}
    for block in range(-(-draws // DRAWN_AT_ONCE)):
        weights = bootstrap_weights(answers.pictures, DRAWN_AT_ONCE, seed=block)
        for name, found in parts.items():
            found.append(measure(answers, name, weights).mean(axis=1))
    return {name: np.concatenate(found, axis=1)[:, :draws] for name, found in parts.items()}


def _row(
    name: str,
    figures: dict[str, Float[np.ndarray, "3 seeds"]],
    drawn: dict[str, Float[np.ndarray, "3 draws"]],
    reference: str,
) -> Row:
    of_accuracy, of_f1, of_auc = map(estimate, figures[name], drawn[name])
    return Row(
        name,
        of_accuracy,
        of_f1,
        of_auc,
        ahead=estimate(figures[reference][0] - figures[name][0], drawn[reference][0] - drawn[name][0]),
        recovered=_recovered(name, figures, drawn),
    )


def estimate(of_seeds: Float[np.ndarray, " seeds"], drawn: Float[np.ndarray, " draws"]) -> Estimate:
    """Mean and spread of the seeds, and the middle 95 % of what resampling gives."""
    sd = float(of_seeds.std(ddof=1)) if of_seeds.size > 1 else NAN
    return Estimate(float(of_seeds.mean()), sd, *percentile_interval(drawn))


def _recovered(
    name: str,
    figures: dict[str, Float[np.ndarray, "3 seeds"]],
    drawn: dict[str, Float[np.ndarray, "3 draws"]],
) -> Share:
    """(accuracy - low) / (original - low), the means of all seeds; NaN where nothing was lost."""
    own, original, low = (
        Figure(float(figures[key][0].mean()), drawn[key][0]) for key in (name, ORIGINAL, LOW)
    )
    if original.mean <= low.mean:
        return Share(NAN, NAN, NAN)
    return recovered_share(own, original, low)


def _seed_tests(answers: Answers, reference: str) -> list[SeedTest]:
    truth, found = answers.truth, []
    for setting, of_seeds in answers.said.items():
        for seed, said in of_seeds.items():
            own = answers.said[reference][seed]
            mcnemar = mcnemar_test(truth, own > THRESHOLD, said > THRESHOLD)
            compared = delong_test(truth, own, said)
            area = float(roc_auc(truth, said))
            found.append((setting, seed, area, delong_interval(truth, said), mcnemar, compared))
    others = [i for i, one in enumerate(found) if one[0] != reference]
    mcnemar_p = dict(zip(others, holm([found[i][4].exact for i in others]), strict=True))
    delong_p = dict(zip(others, holm([found[i][5].p for i in others]), strict=True))
    return [SeedTest(*one, mcnemar_p.get(i, 1.0), delong_p.get(i, 1.0)) for i, one in enumerate(found)]
