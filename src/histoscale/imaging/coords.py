"""Positions of the pixels of one grid in another (Fig. 4).

**Convention.** Positions are measured in low-resolution pixels, rows first. The centre of pixel ``i`` is at
``i``, so an image of ``n`` pixels covers ``[-1/2, n - 1/2]``. The paper normalises the same axis to
``[-1, 1]``; `normalise` and `denormalise` convert. In pixels, differences of positions do not change when a
tile is cut out of an image; in the paper's form they would.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def output_positions(n_out: int, n_in: int, start: int = 0, stop: int | None = None) -> Float[Tensor, " q"]:
    """Compute the positions of output pixel centres along one axis, in low-resolution pixels (float64).

    Args:
        n_out: pixels of the whole output along this axis.
        n_in: pixels of the whole low-resolution image along this axis.
        start, stop: the half-open range of output pixels to compute. Default: all.
    """
    index = torch.arange(start, n_out if stop is None else stop, dtype=torch.float64)
    return (index + 0.5) * (n_in / n_out) - 0.5


def normalise(positions: Float[Tensor, "*q"], n: int) -> Float[Tensor, "*q"]:
    """Convert low-resolution pixels to the paper's ``[-1, 1]`` on an axis of ``n`` pixels."""
    return (2 * positions + 1) / n - 1


def denormalise(coords: Float[Tensor, "*q"], n: int) -> Float[Tensor, "*q"]:
    """Convert the paper's ``[-1, 1]`` to low-resolution pixels on an axis of ``n`` pixels."""
    return ((coords + 1) * n - 1) / 2


def rounded_size(side_px: int, scale: float) -> int:
    """Compute ``floor(side * scale + 1/2)``, the number of output pixels along one axis."""
    return int(side_px * scale + 0.5)
