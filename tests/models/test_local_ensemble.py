"""The four corners and their weights, against grid_sample's coordinates and a loop."""

import torch
from torch.nn.functional import grid_sample

from histoscale.imaging.coords import normalise, output_positions
from histoscale.models.base import as_grid
from histoscale.models.local_ensemble import (
    CORNERS,
    as_rows,
    blended,
    corners,
    interpolate,
    nearest_cells,
    pick,
    relative_cell,
    stacked,
)

SIZE = (5, 7)


def positions_at(scale: float) -> torch.Tensor:
    rows = output_positions(round(SIZE[0] * scale), SIZE[0])
    return as_grid(rows, output_positions(round(SIZE[1] * scale), SIZE[1]))


def test_indices_are_those_of_nearest_sampling():
    cells = torch.arange(SIZE[0] * SIZE[1], dtype=torch.float64).reshape(1, 1, *SIZE)
    for scale in (1.0, 1.5, 2.0, 2.7, 3.0, 4.2):
        positions = positions_at(scale)
        for (down, right), corner in zip(CORNERS, corners(positions, SIZE), strict=True):
            moved = positions + torch.tensor([down, right]) / 2 + 1e-6
            coords = torch.stack((normalise(moved[:, 0], SIZE[0]), normalise(moved[:, 1], SIZE[1])), -1)
            coords = coords.clamp(-1 + 1e-6, 1 - 1e-6).flip(-1)[None, None]
            sampled = grid_sample(cells, coords, mode="nearest", align_corners=False).flatten()
            assert torch.equal(corner.cell, sampled.long())


def test_offsets_and_weights_against_a_loop():
    positions = positions_at(2.7)
    found = corners(positions[None], SIZE, torch.float64)
    for q, (y, x) in enumerate(positions.tolist()):
        rel = []
        for corner in found:
            row, col = divmod(int(corner.cell[0, q]), SIZE[1])
            rel.append((2 * (y - row), 2 * (x - col)))
        areas = [abs(a * b) + 1e-9 for a, b in rel]
        for t, corner in enumerate(found):
            assert torch.allclose(corner.offset[0, q], torch.tensor(rel[t], dtype=torch.float64))
            assert abs(float(corner.weight[0, q]) - areas[3 - t] / sum(areas)) < 1e-12


def test_a_position_on_a_cell_centre_has_the_weight_of_that_cell_only():
    found = corners(torch.tensor([[2.0, 3.0]]), SIZE, torch.float64)
    weight = sum(c.weight for c in found if int(c.cell) == 2 * SIZE[1] + 3)
    assert abs(float(weight) - 1) < 1e-6


def test_positions_moved_with_the_tile_give_the_same_corners():
    positions = positions_at(2.7)
    inside = positions[(positions > 1.5).all(1) & (positions[:, 0] < 2.9) & (positions[:, 1] < 4.9)]
    whole, tile = corners(inside, SIZE), corners(inside - 1, (3, 5))
    for a, b in zip(whole, tile, strict=True):
        assert torch.allclose(a.offset, b.offset)
        assert torch.equal(a.cell // SIZE[1] - 1, b.cell // 5)


def test_nearest_cells_gives_borders_to_the_later_cell():
    assert nearest_cells(torch.tensor([-0.4, 0.49, 0.5 - 1e-9, 0.5, 1.6])).tolist() == [0, 0, 1, 1, 2]


def test_relative_cell_is_limited_to_the_largest_scale():
    cell = torch.tensor([[1 / 2, 1 / 8]])
    assert relative_cell(cell).tolist() == [[1.0, 0.25]]
    assert relative_cell(cell, max_scale=4).tolist() == [[1.0, 0.5]]


def test_pick_reads_each_image_at_its_own_cells():
    features = torch.randn(2, 4, 3, 5)
    index = torch.tensor([[0, 7], [14, 7]])
    picked = pick(as_rows(features), index)
    assert torch.equal(picked[1, 0], features[1, :, 2, 4])
    assert torch.equal(picked[:, 1], features[:, :, 1, 2])


def test_sixteen_corners_lie_row_by_row_and_weigh_by_the_mirrored_area():
    found = corners(
        torch.tensor([[2.3, 3.4]], dtype=torch.float64), SIZE, torch.float64, steps=(-3, -1, 1, 3)
    )
    cells = [divmod(int(corner.cell), SIZE[1]) for corner in found]
    assert cells == [(row, col) for row in (1, 2, 3, 4) for col in (2, 3, 4, 5)]
    areas = [abs(2 * (2.3 - row) * 2 * (3.4 - col)) + 1e-9 for row, col in cells]
    for t, corner in enumerate(found):
        assert abs(float(corner.weight) - areas[15 - t] / sum(areas)) < 1e-9


def test_a_longer_reach_takes_the_outer_cells_at_a_centre():
    centre = torch.tensor([[[2.0, 3.0]]])
    found = corners(centre, SIZE, reach=torch.tensor([[[1.02, 1.02]]]))
    assert [divmod(int(corner.cell), SIZE[1]) for corner in found] == [(1, 2), (1, 4), (3, 2), (3, 4)]


def test_stacked_corners_blend_as_one_by_one():
    found = corners(positions_at(2.7).expand(2, -1, 2), SIZE)
    colours = [torch.rand(*corner.weight.shape, 3) for corner in found]
    expected = sum(corner.weight[..., None] * colour for corner, colour in zip(found, colours, strict=True))
    assert torch.allclose(blended(torch.cat(colours, dim=1), stacked(found)), expected, atol=1e-6)


def test_interpolation_is_that_of_grid_sample():
    features = torch.randn(2, 4, *SIZE, dtype=torch.float64)
    positions = torch.rand(2, 50, 2, dtype=torch.float64) * torch.tensor(SIZE) - 0.5
    coords = torch.stack([normalise(positions[..., axis], SIZE[axis]) for axis in (1, 0)], dim=-1)
    for outside, padding in (("edge", "border"), ("zero", "zeros")):
        got = interpolate(as_rows(features), positions, SIZE, outside)
        expected = grid_sample(features, coords[:, None], "bilinear", padding, align_corners=False)
        assert torch.allclose(got, expected[:, :, 0].transpose(1, 2))
