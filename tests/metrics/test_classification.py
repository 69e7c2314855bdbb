"""Classification measures against cases worked out by hand and, where installed, scikit-learn."""

import math

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from histoscale.errors import InputError
from histoscale.metrics.classification import (
    accuracy,
    bootstrap_weights,
    delong_covariance,
    delong_interval,
    delong_test,
    f1_score,
    mcnemar_test,
    percentile_interval,
    roc_auc,
)

TRUTH = np.array([True, True, True, False, False])
SCORES = np.array([0.9, 0.6, 0.3, 0.6, 0.1])
PREDICTED = SCORES >= 0.5


def random_cases(n: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw classes, and correlated scores with many ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    return truth, np.round(rng.normal(size=n) + truth, 1)


def test_by_hand() -> None:
    """Hits: 2 of 3 positives, 1 false alarm; pairs won: 2, 1.5 and 1 of 2 each."""
    assert accuracy(TRUTH, PREDICTED) == pytest.approx(3 / 5)
    assert f1_score(TRUTH, PREDICTED) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert roc_auc(TRUTH, SCORES) == pytest.approx(4.5 / 6)


def test_one_class_alone() -> None:
    nothing = np.zeros(3, bool)
    assert f1_score(nothing, nothing) == 0
    assert math.isnan(roc_auc(nothing, np.array([0.1, 0.2, 0.3])))
    assert accuracy(nothing, ~nothing) == 0


def test_a_weight_of_two_is_a_case_twice() -> None:
    weights = np.array([[2.0, 1, 0, 1, 3], [1.0, 1, 1, 1, 1]])
    repeated = np.repeat(np.arange(5), weights[0].astype(int))
    for measure, guess in ((accuracy, PREDICTED), (f1_score, PREDICTED), (roc_auc, SCORES)):
        both = measure(TRUTH, guess, weights)
        assert both[0] == pytest.approx(float(measure(TRUTH[repeated], guess[repeated])))
        assert both[1] == pytest.approx(float(measure(TRUTH, guess)))


def test_clusters_are_drawn_whole() -> None:
    clusters = ["a", "b", "a", "c", "b", "b"]
    weights = bootstrap_weights(clusters, 400)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [1, 1]] == weights[:, [4, 5]]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)
    assert (weights == bootstrap_weights(clusters, 400)).all()


def test_the_bootstrap_finds_the_spread_of_a_share() -> None:
    """The spread of a share p is sqrt(p (1 - p) / n); with clusters of four equal cases twice that."""
    truth, right = np.ones(400, bool), np.arange(400) % 4 != 0
    shares = accuracy(truth, right, bootstrap_weights([str(i) for i in range(400)], 2000))
    assert shares.std() == pytest.approx(math.sqrt(0.75 * 0.25 / 400), rel=0.1)
    alike = np.repeat(right[:100], 4)
    shares = accuracy(truth, alike, bootstrap_weights([str(i // 4) for i in range(400)], 2000))
    assert shares.std() == pytest.approx(2 * math.sqrt(0.75 * 0.25 / 400), rel=0.1)
    low, high = percentile_interval(shares)
    assert (high - low) / shares.std() == pytest.approx(2 * 1.96, rel=0.1)


def test_delong_by_hand() -> None:
    """Placements 1, 3/4, 1/2 of the positives and 1/2, 1 of the negatives: variances 1/16 and 1/8."""
    areas, covariance = delong_covariance(TRUTH, SCORES[None])
    assert areas[0] == pytest.approx(4.5 / 6)
    assert covariance[0, 0] == pytest.approx((1 / 16) / 3 + (1 / 8) / 2)
    margin = 1.959964 * math.sqrt((1 / 16) / 3 + (1 / 8) / 2)
    assert delong_interval(TRUTH, SCORES) == pytest.approx((0.75 - margin, 1.0), abs=1e-5)


def test_delong_from_every_pair() -> None:
    """The definition: structural components as means of wins over the other class."""
    truth, first = random_cases()
    second = np.round(first + random_cases(seed=2)[1], 1)
    placed = []
    for scores in (first, second):
        x, y = scores[truth][:, None], scores[~truth][None]
        placed.append((x > y) + 0.5 * (x == y))
    positives, negatives = ([wins.mean(axis=axis) for wins in placed] for axis in (1, 0))
    expected = np.cov(positives) / truth.sum() + np.cov(negatives) / (~truth).sum()
    areas, covariance = delong_covariance(truth, np.stack([first, second]))
    assert areas == pytest.approx([wins.mean() for wins in placed])
    assert covariance == pytest.approx(expected)
    test = delong_test(truth, first, second)
    spread = math.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    assert test.difference == pytest.approx(placed[0].mean() - placed[1].mean())
    assert test.p == pytest.approx(math.erfc(abs(test.difference) / spread / math.sqrt(2)))
    assert test.high - test.low == pytest.approx(2 * 1.959964 * spread, rel=1e-5)


def test_delong_of_the_same_scores() -> None:
    truth, scores = random_cases()
    same = delong_test(truth, scores, scores * 3)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_delong_needs_two_of_each() -> None:
    with pytest.raises(InputError, match="two cases of each class: found 1 and 3"):
        delong_interval(np.array([True, False, False, False]), np.arange(4.0))


def test_mcnemar_by_hand() -> None:
    """Ten cases that only the first has right and two that only the second has: 2 * 79 / 2^12."""
    truth = np.ones(20, bool)
    first, second = np.ones(20, bool), np.ones(20, bool)
    second[:10] = False
    first[10:12] = False
    test = mcnemar_test(truth, first, second)
    assert (test.only_first, test.only_second) == (10, 2)
    assert test.exact == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert test.corrected == pytest.approx(math.erfc(math.sqrt(49 / 12 / 2)))


def test_mcnemar_without_a_difference() -> None:
    test = mcnemar_test(TRUTH, PREDICTED, PREDICTED)
    assert (test.only_first, test.only_second, test.exact, test.corrected) == (0, 0, 1, 1)


def test_against_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    truth, scores = random_cases()
    predicted = scores > 0.5
    weights = bootstrap_weights([str(i % 9) for i in range(truth.size)], 3)
    for i, row in enumerate(weights):
        expected = metrics.roc_auc_score(truth, scores, sample_weight=row)
        assert roc_auc(truth, scores, weights)[i] == pytest.approx(expected)
        expected = metrics.f1_score(truth, predicted, sample_weight=row)
        assert f1_score(truth, predicted, weights)[i] == pytest.approx(expected)
        expected = metrics.accuracy_score(truth, predicted, sample_weight=row)
        assert accuracy(truth, predicted, weights)[i] == pytest.approx(expected)


def test_against_scipy() -> None:
    """The area is the Mann-Whitney statistic over the number of pairs."""
    from scipy import stats

    truth, scores = random_cases()
    u = stats.mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert roc_auc(truth, scores) == pytest.approx(u / truth.sum() / (~truth).sum())


def test_lengths_must_agree() -> None:
    with pytest.raises(TypeCheckError):
        accuracy(TRUTH, PREDICTED[:4])
