"""How well are two classes told apart: accuracy, F1, area under the ROC curve, and tests between classifiers.

**Convention.** True is the positive class; a higher score means more likely positive. Every measure takes
weights of the cases in any number of rows, and gives one figure a row: the rows of `bootstrap_weights` give
the figures of resampled cases, from which `percentile_interval` is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from histoscale.errors import InputError

Weights = Float[np.ndarray, "*rows n"]


@dataclass(frozen=True)
class DifferenceTest:
    """A difference ``first - second`` with its confidence interval and two-sided p."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class McNemarTest:
    """Cases that only one of two classifiers gets right, and how likely so unequal a split is by chance.

    Attributes:
        exact: p of the binomial test, two-sided.
        corrected: p of the chi-square with Edwards' continuity correction.
    """

    only_first: int
    only_second: int
    exact: float
    corrected: float


def accuracy(
    truth: Bool[np.ndarray, " n"], predicted: Bool[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Share of the cases whose class is the predicted one."""
    w = _weights(weights, truth)
    return np.asarray(w @ (truth == predicted) / w.sum(-1))


def f1_score(
    truth: Bool[np.ndarray, " n"], predicted: Bool[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Harmonic mean of precision and recall; 0 where nothing is positive, in truth or predicted."""
    w = _weights(weights, truth)
    hits, mistakes = w @ (truth & predicted), w @ (truth ^ predicted)
    return np.asarray(2 * hits / np.maximum(2 * hits + mistakes, np.finfo(float).tiny))


def roc_auc(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Chance that a positive case scores above a negative one, a tie counting half; NaN for one class."""
    w = _weights(weights, truth)
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    positive, negative = (
        np.add.reduceat(w[..., order] * kind[order], starts, axis=-1) for kind in (truth, ~truth)
    )
    below = np.cumsum(negative, axis=-1) - negative
    pairs = positive.sum(-1) * negative.sum(-1)
    won = (positive * (below + negative / 2)).sum(-1)
    return np.asarray(np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0))


def bootstrap_weights(clusters: Sequence[str], draws: int, seed: int = 0) -> Float[np.ndarray, "draws n"]:
    """How often each case is drawn, when whole clusters are drawn with replacement.

    Cases of one image or patient are alike, so they are drawn together (Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, sec. 3.8); clusters of one case each give the ordinary bootstrap.
    """
    names, member_of = np.unique(np.asarray(clusters), return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=draws)
    return counts[:, member_of].astype(np.float64)


def percentile_interval(
    figures: Float[np.ndarray, " draws"], confidence: float = 0.95
) -> tuple[float, float]:
    """The middle ``confidence`` of resampled figures; NaN where one of them is none."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, (tail, 1 - tail))
    return float(low), float(high)


def delong_covariance(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, "k n"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Areas under the curves of k classifiers on the same cases, and the covariance of these estimates.

    E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44, 1988; by midranks as X. Sun, W. Xu, IEEE Signal
    Process. Lett. 21, 2014.

    Raises:
        InputError: if there are fewer than two cases of a class.
    """
    m, n = int(truth.sum()), int((~truth).sum())
    if min(m, n) < 2:
        raise InputError(f"DeLong's variance needs two cases of each class, got {m} and {n}.")
    ranks = stats.rankdata(scores, axis=1)
    inner = [stats.rankdata(scores[:, kind], axis=1) for kind in (truth, ~truth)]
    of_positive = (ranks[:, truth] - inner[0]) / n  # share of negatives below each positive
    of_negative = 1 - (ranks[:, ~truth] - inner[1]) / m
    covariance = np.cov(of_positive) / m + np.cov(of_negative) / n
    return of_positive.mean(axis=1), covariance.reshape(len(scores), len(scores))


def delong_interval(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of an area under the curve, by DeLong's variance, cut at 0 and 1.

    Raises:
        InputError: as `delong_covariance`.
    """
    areas, covariance = delong_covariance(truth, scores[None])
    margin = _z(confidence) * np.sqrt(covariance[0, 0])
    return float(max(0.0, areas[0] - margin)), float(min(1.0, areas[0] + margin))


def delong_test(
    truth: Bool[np.ndarray, " n"],
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    confidence: float = 0.95,
) -> DifferenceTest:
    """DeLong's test of equal areas under the curves of two classifiers on the same cases.

    Raises:
        InputError: as `delong_covariance`.
    """
    areas, covariance = delong_covariance(truth, np.stack([first, second]))
    contrast = np.array([1.0, -1.0])
    difference = float(contrast @ areas)
    spread = float(np.sqrt(max(0.0, contrast @ covariance @ contrast)))
    if spread == 0:  # the curves rank every pair alike, or separate the classes without fail
        return DifferenceTest(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    p = float(2 * stats.norm.sf(abs(difference) / spread))
    margin = _z(confidence) * spread
    return DifferenceTest(difference, difference - margin, difference + margin, p)


def mcnemar_test(
    truth: Bool[np.ndarray, " n"], first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]
) -> McNemarTest:
    """McNemar's test of equal accuracy of two classifiers on the same cases (Psychometrika 12, 1947)."""
    b = int(((first == truth) & (second != truth)).sum())
    c = int(((first != truth) & (second == truth)).sum())
    if b + c == 0:
        return McNemarTest(0, 0, 1.0, 1.0)
    exact = float(stats.binomtest(b, b + c).pvalue)
    chi_square = max(0, abs(b - c) - 1) ** 2 / (b + c)
    return McNemarTest(b, c, exact, float(stats.chi2.sf(chi_square, 1)))


def _weights(weights: Weights | None, truth: Bool[np.ndarray, " n"]) -> Weights:
    return np.ones(truth.size) if weights is None else weights


def _z(confidence: float) -> float:
    return float(stats.norm.ppf((1 + confidence) / 2))
