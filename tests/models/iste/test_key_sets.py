"""Key sets: blocks, windows, and grids extended to whole blocks."""

import pytest
import torch

from histoscale.imaging.coords import output_positions
from histoscale.models.iste.key_sets import blocks_along, complete_blocks, context, points_in_cell
from histoscale.models.local_ensemble import nearest_cells


def test_blocks_cover_the_cells_and_their_neighbours():
    assert blocks_along(range(16, 32), 16, 100) == [range(0, 16), range(16, 32), range(32, 48)]
    assert blocks_along(range(17, 31), 16, 100) == [range(16, 32)]
    assert blocks_along(range(40), 16, 40) == [range(0, 16), range(16, 32), range(32, 40)]


@pytest.mark.parametrize("n_out", [30, 47, 75, 120])
def test_a_part_of_the_grid_is_completed_to_its_blocks(n_out):
    whole = output_positions(n_out, 30)
    cells = nearest_cells(whole)
    for start, stop in ((0, n_out), (5, 6), (11, 29), (n_out - 1, n_out)):
        part = whole[start:stop]
        rows, cols, (kept, _) = complete_blocks(part, part, (30 / n_out, 30 / n_out), 12, (30, 30))
        inside = (cells // 12 >= cells[start] // 12) & (cells // 12 <= cells[stop - 1] // 12)
        assert torch.allclose(rows, whole[inside], atol=1e-9)
        assert torch.equal(rows[kept], part)
        assert torch.equal(rows, cols)


def test_points_lie_evenly_in_their_cell():
    assert points_in_cell(1).tolist() == [[0, 0]]
    assert points_in_cell(2).tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]


def test_context():
    assert context(None, 48) == (3, 1)
    assert context("queries", 48) == (3, 48)
    assert context("cells", 48) == (33, 16)
    assert context("all", 48)[0] > 10**6
