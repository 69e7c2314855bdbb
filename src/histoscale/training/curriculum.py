"""The curriculum of Li et al. (2021): the factor of degradation grows in the first half of the run."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.imaging.degrade import degrade
from histoscale.imaging.resize import bicubic_resize

SPREAD = 0.5
"""Standard deviation of the factor of a patch around the mean factor."""


def mean_factor(share: float, largest: float) -> float:
    """Mean factor of degradation: log2 of a number that grows linearly from 4 to 2^largest in half the run.

    Args:
        share: of the run that is over.
        largest: the factor at the end; up to 2 it is the factor of the whole run.
    """
    return min(math.log2(4 + max(2**largest - 4, 0.0) * 2 * share), largest)


def blurred_by_curriculum(
    target: Float[Tensor, "b 3 H W"], share: float, largest: float
) -> Float[Tensor, "b 3 H W"]:
    """Downsample each image by its own factor, as test images are (B), and upscale it again by bicubic.

    Args:
        target: sharp images in [0, 1].
        share, largest: see `mean_factor`.
    """
    drawn = mean_factor(share, largest) + SPREAD * torch.randn(len(target))
    blurred = []
    for image, factor in zip(target.split(1), drawn.clamp(min=1).tolist(), strict=True):
        size = (image.shape[2], image.shape[3])
        small = (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))
        blurred.append(bicubic_resize(degrade(image, small, factor), size))
    return torch.cat(blurred)
