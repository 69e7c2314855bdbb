"""Do two models differ on the same images: paired two-sided t-tests and Holm's correction.

**Convention.** A difference is ``first - second``. The test takes the images as independent; where many are
neighbouring crops of one patient (as in GlaS) its p-values are too small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from histoscale.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a paired test: ``n`` pairs, mean difference, its confidence interval, t and two-sided p."""

    n: int
    difference: float
    low: float
    high: float
    t: float
    p: float


def paired_t_test(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> PairedTest:
    """Student's paired two-sided t-test of ``mean(first - second) = 0``.

    Args:
        first, second: one finite score an image, in the same order.
        confidence: coverage of the interval of the mean difference.

    Raises:
        InputError: if there are fewer than two pairs, the lengths differ or a score is not finite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:
        raise InputError(
            f"A paired test needs two equally long lists of 2 or more scores: got {a.size} and {b.size}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("A paired test needs finite scores: got an infinite or missing one.")
    difference = a - b
    mean = float(difference.mean())
    rounding = 8 * np.finfo(np.float64).eps * float(np.maximum(abs(a), abs(b)).max())
    if np.ptp(difference) <= rounding:  # no spread but that of rounding: scipy would divide by nothing
        certain = abs(mean) > rounding
        t, p = (float(np.copysign(np.inf, mean)), 0.0) if certain else (0.0, 1.0)
        return PairedTest(a.size, mean, mean, mean, t, p)
    # As scipy.stats.ttest_rel, whose checks of its arguments take forty times as long as the test.
    freedom, error = a.size - 1, float(difference.std(ddof=1)) / math.sqrt(a.size)
    t, reach = mean / error, float(special.stdtrit(freedom, (1 + confidence) / 2)) * error
    return PairedTest(a.size, mean, mean - reach, mean + reach, t, 2 * float(special.stdtr(freedom, -abs(t))))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being tested together, in the given order (S. Holm, Scand. J. Stat. 6, 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(p.size, 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(value) for value in corrected]
