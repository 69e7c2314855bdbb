"""Measures of a classification into two classes, and tests between two classifiers.

The measures are accuracy, F1 and the area under the ROC curve.

**Convention.** True is the positive class; a higher score means more likely positive. Every measure takes
weights of the cases in any number of rows and returns one value per row. With the rows of
`bootstrap_weights` these are the values of resampled cases, for `percentile_interval`.
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
    """A difference ``first - second`` with its confidence interval and two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class McNemarTest:
    """Cases that only one of two classifiers predicts correctly, and p-values of equal accuracy.

    Attributes:
        only_first, only_second: cases that only the first or only the second predicts correctly.
        exact: two-sided p-value of the binomial test.
        corrected: p-value of the chi-square test with Edwards' continuity correction.
    """

    only_first: int
    only_second: int
    exact: float
    corrected: float


def accuracy(
    truth: Bool[np.ndarray, " n"], predicted: Bool[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Compute the share of cases whose predicted class is correct."""
    w = _weights(weights, truth)
    return np.asarray(w @ (truth == predicted) / w.sum(-1))


def f1_score(
    truth: Bool[np.ndarray, " n"], predicted: Bool[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Compute the harmonic mean of precision and recall; 0 if no case is positive or predicted positive."""
    w = _weights(weights, truth)
    # F1 = 2 TP / (2 TP + FP + FN); `tiny` avoids 0 / 0.
    hits, mistakes = w @ (truth & predicted), w @ (truth ^ predicted)
    return np.asarray(2 * hits / np.maximum(2 * hits + mistakes, np.finfo(float).tiny))


def roc_auc(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], weights: Weights | None = None
) -> Float[np.ndarray, "*rows"]:
    """Compute the probability that a positive case scores above a negative one; a tie counts half.

    NaN if one of the classes has no cases.
    """
    w = _weights(weights, truth)
    # 1. The weights of both classes at each distinct score, in ascending order.
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    positive, negative = (
        np.add.reduceat(w[..., order] * kind[order], starts, axis=-1) for kind in (truth, ~truth)
    )
    # 2. The weight of the negatives below each score; those at the same score are ties and count half.
    below = np.cumsum(negative, axis=-1) - negative
    pairs = positive.sum(-1) * negative.sum(-1)
    won = (positive * (below + negative / 2)).sum(-1)
    return np.asarray(np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0))


def bootstrap_weights(clusters: Sequence[str], draws: int, seed: int = 0) -> Float[np.ndarray, "draws n"]:
    """Draw whole clusters with replacement and count how often each case is drawn.

    Cases of one image or patient are correlated, so they are drawn together (Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, sec. 3.8). Clusters of one case each give the ordinary bootstrap.

    Args:
        clusters: the cluster of each case.
        draws: number of resamplings.
        seed: seed of the random numbers.
    """
    names, member_of = np.unique(np.asarray(clusters), return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=draws)
    return counts[:, member_of].astype(np.float64)


def percentile_interval(
    figures: Float[np.ndarray, " draws"], confidence: float = 0.95
) -> tuple[float, float]:
    """Compute the interval of the middle ``confidence`` of resampled figures; NaN if a figure is NaN."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, (tail, 1 - tail))
    return float(low), float(high)


def delong_covariance(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, "k n"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Compute the areas under the ROC curves of k classifiers on the same cases, and their covariance.

    E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44, 1988; computed from midranks as in X. Sun, W. Xu,
    IEEE Signal Process. Lett. 21, 2014.

    Raises:
        InputError: if a class has fewer than two cases.
    """
    m, n = int(truth.sum()), int((~truth).sum())
    if min(m, n) < 2:
        raise InputError(f"DeLong's variance needs at least two cases of each class: found {m} and {n}.")
    # The rank of a case among all cases minus its rank within its class is the number of cases of the other
    # class below it; midranks count ties as half.
    ranks = stats.rankdata(scores, axis=1)
    inner = [stats.rankdata(scores[:, kind], axis=1) for kind in (truth, ~truth)]
    of_positive = (ranks[:, truth] - inner[0]) / n  # share of negatives below each positive, [k, m]
    of_negative = 1 - (ranks[:, ~truth] - inner[1]) / m  # share of positives above each negative, [k, n]
    covariance = np.cov(of_positive) / m + np.cov(of_negative) / n
    return of_positive.mean(axis=1), covariance.reshape(len(scores), len(scores))


def delong_interval(
    truth: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], confidence: float = 0.95
) -> tuple[float, float]:
    """Compute the confidence interval of an area under the curve from DeLong's variance, within 0 and 1.

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
    """Test with DeLong's test whether two classifiers have equal areas under the curve on the same cases.

    Raises:
        InputError: as `delong_covariance`.
    """
    areas, covariance = delong_covariance(truth, np.stack([first, second]))
    contrast = np.array([1.0, -1.0])
    difference = float(contrast @ areas)
    spread = float(np.sqrt(max(0.0, contrast @ covariance @ contrast)))
    if spread == 0:  # equal ranks for every pair, or perfect separation
        return DifferenceTest(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    p = float(2 * stats.norm.sf(abs(difference) / spread))
    margin = _z(confidence) * spread
    return DifferenceTest(difference, difference - margin, difference + margin, p)


def mcnemar_test(
    truth: Bool[np.ndarray, " n"], first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]
) -> McNemarTest:
    """Test with McNemar's test whether two classifiers are equally accurate (Psychometrika 12, 1947)."""
    # b and c: cases that only the first, or only the second, predicts correctly.
    b = int(((first == truth) & (second != truth)).sum())
    c = int(((first != truth) & (second == truth)).sum())
    if b + c == 0:
        return McNemarTest(0, 0, 1.0, 1.0)
    exact = float(stats.binomtest(b, b + c).pvalue)
    chi_square = max(0, abs(b - c) - 1) ** 2 / (b + c)
    return McNemarTest(b, c, exact, float(stats.chi2.sf(chi_square, 1)))


def _weights(weights: Weights | None, truth: Bool[np.ndarray, " n"]) -> Weights:
    """Return the weights, or 1 for each case."""
    return np.ones(truth.size) if weights is None else weights


def _z(confidence: float) -> float:
    """Return the quantile of the normal distribution of a two-sided interval, 1.96 for 95 %."""
    return float(stats.norm.ppf((1 + confidence) / 2))
