"""Bicubic interpolation as in Pillow (Keys' kernel, a = -1/2), by matrices of weights along each axis.

The matrices can be computed for any positions, so a tile and the whole image get the same pixels.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

RUN = 64
"""Positions per matrix: a matrix over the whole axis would hold mostly zeros."""


def keys_kernel(t: Float[Tensor, "*n"], a: float = -0.5) -> Float[Tensor, "*n"]:
    """Compute Keys' cubic convolution kernel at signed distance ``t`` (R. Keys, IEEE TASSP 1981)."""
    t = t.abs()
    # Two cubic pieces: |t| < 1 and 1 <= |t| < 2; zero beyond.
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return torch.where(t < 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


def bicubic_matrix(positions: Float[Tensor, " q"], n_in: int, support: float = 1.0) -> Float[Tensor, "q n"]:
    """Compute the matrix that interpolates ``n_in`` samples at ``positions``, one row per position.

    Args:
        positions: output positions in input pixels (pixel ``i`` centred at ``i``).
        n_in: number of input samples. Samples outside are dropped and the weights of the others are
            normalised, as in Pillow.
        support: 1 to upscale; the factor of downsampling to downsample with antialiasing.
    """
    index = torch.arange(n_in, dtype=positions.dtype, device=positions.device)
    weights = keys_kernel((index[None] - positions[:, None]) / support)
    return weights / weights.sum(dim=1, keepdim=True)


def bicubic_render(
    image: Float[Tensor, "b c h w"],
    rows: Float[Tensor, " H"],
    cols: Float[Tensor, " W"],
    support: tuple[float, float] = (1.0, 1.0),
) -> Float[Tensor, "b c H W"]:
    """Interpolate ``image`` on a grid of ascending positions (rows, columns) in its pixels.

    Args:
        image: the image.
        rows, cols: positions of the grid.
        support: see `bicubic_matrix`; for rows and columns.
    """
    with torch.autocast(image.device.type, enabled=False):
        # Columns first, then rows, run by run; each run multiplies only the samples that it needs.
        across = torch.cat(
            [image[..., taps].contiguous() @ matrix.T for taps, matrix in _runs(cols, image, 3, support[1])],
            dim=3,
        )
        return torch.cat(
            [matrix @ across[:, :, taps] for taps, matrix in _runs(rows, image, 2, support[0])], dim=2
        )


def _runs(
    positions: Float[Tensor, " q"], image: Float[Tensor, "b c h w"], axis: int, support: float
) -> Iterator[tuple[slice, Float[Tensor, "r t"]]]:
    """Yield, for each `RUN` positions, the samples that they depend on and the matrix for these."""
    n, reach = image.shape[axis], math.ceil(2 * support)
    # The kernel ends 2 * support pixels from a position.
    for run in positions.to(torch.float64).split(RUN):
        first = max(math.floor(float(run[0])) - reach + 1, 0)
        last = min(math.floor(float(run[-1])) + reach, n - 1)
        yield slice(first, last + 1), bicubic_matrix(run - first, last + 1 - first, support).to(image)


def bicubic_resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c H W"]:
    """Resize as Pillow's ``Image.resize(BICUBIC)`` on floats, antialiased if a side becomes smaller."""
    for axis, n_out in ((2, size[0]), (3, size[1])):
        n_in = image.shape[axis]
        # The centres of the output pixels in input pixels, as `output_positions`.
        positions = (torch.arange(n_out, dtype=torch.float64) + 0.5) * (n_in / n_out) - 0.5
        matrix = bicubic_matrix(positions, n_in, support=max(1.0, n_in / n_out)).to(image)
        image = matrix @ image if axis == 2 else image @ matrix.T
    return image


def bicubic_points(
    image: Float[Tensor, "b c h w"], positions: Float[Tensor, "b q 2"]
) -> Float[Tensor, "b q c"]:
    """Interpolate at scattered positions (row, column) with the same result as `bicubic_render`."""
    h, w = image.shape[2:]
    row_index, row_weight = _cubic_taps(positions[..., 0], h)
    col_index, col_weight = _cubic_taps(positions[..., 1], w)
    # 4 x 4 samples around each position, one gather of all colours for each.
    flat = image.flatten(2).transpose(1, 2)
    result = image.new_zeros(image.shape[0], positions.shape[1], image.shape[1])
    for i in range(4):
        for j in range(4):
            index = row_index[..., i] * w + col_index[..., j]
            weight = (row_weight[..., i] * col_weight[..., j]).to(image)
            result = result + weight[..., None] * flat.gather(
                1, index[..., None].expand(-1, -1, flat.shape[2])
            )
    return result


def _cubic_taps(positions: Float[Tensor, "*q"], n: int) -> tuple[Int[Tensor, "*q 4"], Float[Tensor, "*q 4"]]:
    """Return the four samples around each position and their weights, zero for samples outside."""
    index = positions.floor().long()[..., None] + torch.arange(-1, 3, device=positions.device)
    weight = keys_kernel(positions[..., None] - index) * ((index >= 0) & (index < n))
    return index.clamp(0, n - 1), weight / weight.sum(-1, keepdim=True)
