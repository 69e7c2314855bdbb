"""The four cells around a position and their area weights S_t / S, as in Eqs. 6 and 7 and in LIIF.

**Convention.** Positions are low-resolution pixels, rows first, pixel ``i`` centred at ``i`` (float64);
offsets and cells are in the paper's units, where one low-resolution pixel measures 2.
"""

from itertools import product
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
"""Steps (row, column) from a position to its four corners: the paper's t = 00, 01, 10, 11."""

_NUDGE_PX = 1e-6
"""Added to positions: on the border of two cells the later cell is taken, as in LIIF's code."""


class Corner(NamedTuple):
    """One of the four cells around each of ``q`` positions.

    Attributes:
        cell: number of the cell in row-major order, ``row * w + column``.
        offset: 2 * (position - centre of the cell): within [-2, 2] inside the image.
        weight: S_t / S, the area of the rectangle towards the opposite corner; the four weights sum to 1.
    """

    cell: Int[Tensor, "*b q"]
    offset: Float[Tensor, "*b q 2"]
    weight: Float[Tensor, "*b q"]


def nearest_cells(positions: Float[Tensor, "*q"], step: float | Float[Tensor, "*s"] = 0) -> Int[Tensor, "*q"]:
    """Find the cell that contains each coordinate moved by ``step`` half pixels; it may lie outside."""
    return torch.floor(positions.to(torch.float64) + (step + 1) / 2 + _NUDGE_PX).long()


def corners(
    positions: Float[Tensor, "*b q 2"],
    size: tuple[int, int],
    dtype: torch.dtype = torch.float32,
    *,
    steps: tuple[int, ...] = (-1, 1),
    reach: float | Float[Tensor, "*b 1 2"] = 1.0,
) -> list[Corner]:
    """Find the four corners of every position, in the order of `CORNERS`.

    At the border of the image two corners may be the same cell, as in the published code.

    Args:
        positions: (row, column) in low-resolution pixels.
        size: height and width of the feature map.
        dtype: type of offsets and weights, which are computed in float64.
        steps: steps along each axis, ascending and symmetric. Four steps give LMI's sixteen cells, row-major.
        reach: length of a step in half pixels; ITSRN uses a little more than 1.
    """
    positions = positions.to(torch.float64)
    last = torch.tensor(size, device=positions.device) - 1
    # 1. Along each axis separately: the cell of each step, clamped to the map, and the offset from it.
    cells = [torch.minimum(nearest_cells(positions, step * reach).clamp(min=0), last) for step in steps]
    offsets = [2 * (positions - cell) for cell in cells]
    # 2. Each pair of a row and a column is a corner t: the number of cell u_t and the offset x_q - u_t.
    found = []
    for i, j in product(range(len(steps)), repeat=2):
        index = cells[i][..., 0] * size[1] + cells[j][..., 1]
        found.append((index, torch.stack((offsets[i][..., 0], offsets[j][..., 1]), dim=-1)))
    # 3. The area of the rectangle between the position and each corner. Corner t is weighted by the area of
    #    the opposite corner (flip), so a close corner weighs more. 1e-9 keeps S above 0.
    areas = torch.stack([offset.prod(dim=-1).abs() + 1e-9 for _, offset in found])
    weights = areas.flip(0) / areas.sum(dim=0)
    return [
        Corner(cell, offset.to(dtype), weight.to(dtype))
        for (cell, offset), weight in zip(found, weights, strict=True)
    ]


def stacked(found: list[Corner], axis: int = 1) -> Corner:
    """Concatenate the corners along the axis of the points, so that one pass of a model decodes them all."""
    return Corner(*(torch.cat(parts, dim=axis) for parts in zip(*found, strict=True)))


def blended(colours: Float[Tensor, "b k 3"], corner: Corner) -> Float[Tensor, "b q 3"]:
    """Sum the colours of the four `stacked` corners, weighted by S_t / S."""
    weighted = colours * corner.weight[..., None]
    total: Tensor = weighted.unflatten(1, (len(CORNERS), -1)).sum(dim=1)
    return total


def relative_cell(cell: Float[Tensor, "*b 2"], max_scale: float | None = None) -> Float[Tensor, "*b 2"]:
    """Compute the decoders' input ``c``: the size of an output pixel, where a low-resolution pixel is 2.

    Args:
        cell: height and width of one output pixel in low-resolution pixels.
        max_scale: use the cell of this scale for all larger scales, as in LTE's and ISTE's code (4). None: no
            limit.
    """
    return 2 * (cell if max_scale is None else cell.clamp(min=1 / max_scale))


def as_rows(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
    """Return a feature map as a row-major list of cells, which `pick` indexes."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def pick(rows: Float[Tensor, "b n c"], cells: Int[Tensor, "b q"]) -> Float[Tensor, "b q c"]:
    """Pick the cells with the numbers ``cells`` from each image."""
    # One flat index over all images is faster than gather, which needs the index once per channel.
    first = torch.arange(rows.shape[0], device=rows.device)[:, None] * rows.shape[1]
    picked = rows.flatten(0, 1).index_select(0, (cells + first).flatten())
    return picked.view(*cells.shape, -1)


def interpolate(
    rows: Float[Tensor, "b n c"],
    positions: Float[Tensor, "b q 2"],
    size: tuple[int, int],
    outside: Literal["edge", "zero"] = "edge",
) -> Float[Tensor, "b q c"]:
    """Interpolate a feature map bilinearly.

    Args:
        rows: the cells of the map, see `as_rows`.
        positions: (row, column) in low-resolution pixels.
        size: height and width of the map.
        outside: the value outside the map: that of the nearest cell, or zero.
    """
    # The cell above and to the left of each position, and the weights along each axis, [.., 2] (row, column).
    first = positions.to(torch.float64).floor()
    shares = (positions - first, 1 - (positions - first))
    last = torch.tensor(size, device=positions.device) - 1
    total = rows.new_zeros(())
    # The weight of a cell is the product of the distances to the opposite cell along both axes.
    for step in product((0, 1), repeat=2):
        cell = first.long() + torch.tensor(step, device=positions.device)
        inside = cell.clamp(min=0).minimum(last)
        weight = shares[1 - step[0]][..., 0] * shares[1 - step[1]][..., 1]
        if outside == "zero":
            weight = weight * (cell == inside).all(dim=-1)
        total = total + pick(rows, inside[..., 0] * size[1] + inside[..., 1]) * weight.to(rows)[..., None]
    return total
