"""Compare two models on the same images: paired two-sided t-test and Holm's correction.

**Convention.** A difference is ``first - second``. The test assumes independent images. If many of them are
neighbouring crops of one patient, as in GlaS, its p-values are too small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from histoscale.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """Result of a paired test: ``n`` pairs, mean difference with confidence interval, t and two-sided p."""

    n: int
    difference: float
    low: float
    high: float
    t: float
    p: float


def paired_t_test(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> PairedTest:
    """Test ``mean(first - second) = 0`` with Student's paired two-sided t-test.

    Args:
        first, second: one finite score per image, in the same order.
        confidence: coverage of the interval of the mean difference.

    Raises:
        InputError: if there are fewer than two pairs, the lengths differ or a score is not finite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:
        raise InputError(
            f"A paired test needs two equally long lists of 2 or more scores: found {a.size} and {b.size}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("A paired test needs finite scores: found an infinite or missing one.")
    difference = a - b
    mean = float(difference.mean())
    rounding = 8 * np.finfo(np.float64).eps * float(np.maximum(abs(a), abs(b)).max())
    if np.ptp(difference) <= rounding:  # only rounding errors: scipy would divide by zero
        certain = abs(mean) > rounding
        t, p = (float(np.copysign(np.inf, mean)), 0.0) if certain else (0.0, 1.0)
        return PairedTest(a.size, mean, mean, mean, t, p)
    # The arithmetic of scipy.stats.ttest_rel, whose checks of arguments take forty times as long.
    freedom, error = a.size - 1, float(difference.std(ddof=1)) / math.sqrt(a.size)
    t, reach = mean / error, float(special.stdtrit(freedom, (1 + confidence) / 2)) * error
    return PairedTest(a.size, mean, mean - reach, mean + reach, t, 2 * float(special.stdtr(freedom, -abs(t))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple testing, in the given order (S. Holm, Scand. J. Stat. 6, 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    # The smallest p is multiplied by the number of tests, the next by one less, and so on.
    stepped = p[order] * np.arange(p.size, 0, -1)
    corrected = np.empty_like(p)
    # A corrected p is never below that of a smaller p.
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(value) for value in corrected]
