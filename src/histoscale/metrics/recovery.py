"""The share of a loss that super-resolution recovers, between low-resolution images and the originals."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from histoscale.metrics.classification import percentile_interval

UNCERTAIN = 0.025
"""If more than this share of the resampled draws shows no loss, no interval is computed."""
NAN = float("nan")


class Figure(NamedTuple):
    """A mean over all images, and the means over resampled images."""

    mean: float
    drawn: Float[np.ndarray, " draws"]


class Share(NamedTuple):
    """A share with its 95 % interval; NaN if there is none."""

    mean: float
    low: float
    high: float


def recovered_share(own: Figure, original: Figure, low: Figure) -> Share:
    """Compute (own - low) / (original - low), for measures that increase or decrease with quality.

    All three figures are resampled in the same way, draw by draw. Draws without a loss are left out. If they
    are more than `UNCERTAIN` of all draws, there is no interval; without any loss there is no share.
    """
    lost = original.mean - low.mean
    if lost == 0:
        return Share(NAN, NAN, NAN)
    share = (own.mean - low.mean) / lost
    # A draw is usable if it has a loss of the same sign as the loss over all images.
    drawn_lost = original.drawn - low.drawn
    usable = drawn_lost * np.sign(lost) > 0
    if 1 - usable.mean() > UNCERTAIN:
        return Share(share, NAN, NAN)
    return Share(share, *percentile_interval((own.drawn - low.drawn)[usable] / drawn_lost[usable]))


def share_of(own: Figure, original: Figure) -> Share:
    """Compute own / original; NaN if original is 0, no interval if it is 0 in a resampled draw."""
    if original.mean == 0:
        return Share(NAN, NAN, NAN)
    if (original.drawn == 0).any():
        return Share(own.mean / original.mean, NAN, NAN)
    return Share(own.mean / original.mean, *percentile_interval(own.drawn / original.drawn))
