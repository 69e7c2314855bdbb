"""What super-resolution brings back: the share of the way from a low-resolution figure to the original's."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from histoscale.metrics.classification import percentile_interval

UNCERTAIN = 0.025
"""Share of resampled draws without the loss above which a share of that loss has no interval."""
NAN = float("nan")


class Figure(NamedTuple):
    """A mean over all images, and the means over resampled ones."""

    mean: float
    drawn: Float[np.ndarray, " draws"]


class Share(NamedTuple):
    """A share with its 95 % interval; NaN where there is none."""

    mean: float
    low: float
    high: float


def recovered_share(own: Figure, original: Figure, low: Figure) -> Share:
    """(own - low) / (original - low), whichever of both is the greater.

    All three are resampled alike, draw by draw. Draws in which nothing is lost tell nothing of a share of the
    loss; where they are more than `UNCERTAIN` there is no interval, where nothing was lost at all no share.
    """
    lost = original.mean - low.mean
    if lost == 0:
        return Share(NAN, NAN, NAN)
    share = (own.mean - low.mean) / lost
    drawn_lost = original.drawn - low.drawn
    usable = drawn_lost * np.sign(lost) > 0
    if 1 - usable.mean() > UNCERTAIN:
        return Share(share, NAN, NAN)
    return Share(share, *percentile_interval((own.drawn - low.drawn)[usable] / drawn_lost[usable]))


def share_of(own: Figure, original: Figure) -> Share:
    """own / original; NaN where the original's figure is 0, no interval where resampling makes it so."""
    if original.mean == 0:
        return Share(NAN, NAN, NAN)
    if (original.drawn == 0).any():
        return Share(own.mean / original.mean, NAN, NAN)
    return Share(own.mean / original.mean, *percentile_interval(own.drawn / original.drawn))
