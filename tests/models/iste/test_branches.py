"""Both branches against the loops: results that are computed once per cell or in runs are the same."""

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.models.base import as_grid, count_parameters
from histoscale.models.iste import decoding
from histoscale.models.iste.branches import Branches, Parts
from histoscale.models.iste.decoding import decode_grid, decode_points
from histoscale.models.iste.key_sets import points_in_cell

SIZE = (4, 5)
CELL = (SIZE[0] / 9, SIZE[1] / 12)


def tiny(**parts) -> Branches:
    return Branches(8, Parts(width=4, hidden=6, window_px=6, **parts)).double()


def features(images: int = 1) -> torch.Tensor:
    return torch.randn(images, 8, *SIZE, dtype=torch.float64)


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    return output_positions(9, SIZE[0]), output_positions(12, SIZE[1])


def loops(literal, module, feature_map, positions, key_places=None):
    cell = torch.tensor(CELL, dtype=torch.float64)
    return literal.branches(module, feature_map, positions, cell, key_places)


@pytest.mark.parametrize("lfi", ["corrected", "printed", "code"])
def test_decode_equals_the_loops_in_value_and_gradient(literal, lfi):
    module, maps = tiny(lfi=lfi), features(2)
    positions = torch.rand(2, 5, 2, dtype=torch.float64) * torch.tensor(SIZE) - 0.5
    cell = torch.tensor([CELL, CELL], dtype=torch.float64)
    target = torch.randn(2, 5, 3, dtype=torch.float64)
    found = decode_points(module, module(maps), positions, cell)
    expected = torch.stack([loops(literal, module, m, p) for m, p in zip(maps, positions, strict=True)])
    assert torch.allclose(found, expected, atol=1e-12)
    weights = list(module.parameters())
    gradients = torch.autograd.grad((found - target).abs().mean(), weights)
    for a, b in zip(gradients, torch.autograd.grad((expected - target).abs().mean(), weights), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    with torch.no_grad():  # corner by corner, distinct cells, rows in chunks
        assert torch.allclose(decode_points(module, module(maps), positions, cell), expected, atol=1e-12)


@pytest.mark.parametrize("keys", ["all", "queries", "cells"])
def test_a_batch_in_one_pass_equals_image_by_image(keys, monkeypatch):
    module, maps = tiny(keys=keys), features(3)
    positions = torch.rand(3, 5, 2, dtype=torch.float64) * torch.tensor(SIZE) - 0.5
    cell = torch.tensor([CELL, (0.5, 0.5), (0.25, 0.25)], dtype=torch.float64)
    one_by_one = decode_points(module, module(maps), positions, cell)
    monkeypatch.setattr(decoding, "_decodes_together", lambda positions: True)
    assert torch.allclose(decode_points(module, module(maps), positions, cell), one_by_one, atol=1e-12)


def test_all_retrieves_from_the_whole_output(literal):
    module, maps = tiny(keys="all"), features()
    whole = as_grid(*grid())
    places = [[literal.four_corners(p, SIZE)[t][:2] for p in whole] for t in range(4)]
    some = whole[[3, 50, 88]]
    expected = loops(literal, module, maps[0], some, places)
    decoded = decode_points(module, module(maps), some[None], torch.tensor([CELL], dtype=torch.float64))
    assert torch.allclose(decoded[0], expected, atol=1e-12)
    rendered = decode_grid(module, module(maps), *(axis[[0, 4, 7]] for axis in grid()), CELL)
    assert torch.allclose(rendered[0, :, 1, 1], loops(literal, module, maps[0], whole[[52]], places)[0])


def test_cells_retrieve_from_points_of_the_cells_around(literal):
    module, maps = tiny(keys="cells"), features()
    module.window_px = 15  # one window holds the whole map
    every = [(i, j) for i in range(SIZE[0]) for j in range(SIZE[1])]
    places = [(cell, point.double()) for point in points_in_cell(2) for cell in every]
    positions = as_grid(*grid())[[0, 17, 60, 107]]
    expected = loops(literal, module, maps[0], positions, [places] * 4)
    decoded = decode_points(module, module(maps), positions[None], torch.tensor([CELL], dtype=torch.float64))
    assert torch.allclose(decoded[0], expected, atol=1e-12)


def test_cells_search_no_further_than_their_window():
    module, wide = tiny(keys="cells"), torch.randn(1, 8, 3, 20, dtype=torch.float64)
    other = wide.clone()
    other[..., 8:] += 1  # blocks of 2 cells: cell 3's window is 0..5, one convolution away 6
    rows, cols = output_positions(6, 3), output_positions(40, 20)[:6]
    images = [decode_grid(module, module(m), rows, cols, (0.5, 0.5)) for m in (wide, other)]
    assert torch.equal(*images)


@pytest.mark.parametrize("keys", ["all", "queries", "cells"])
def test_the_batch_and_the_part_rendered_change_nothing(keys):
    module, maps = tiny(keys=keys), features(2)
    rows, cols = grid()
    whole = decode_grid(module, module(maps), rows, cols, CELL)
    with torch.no_grad():
        assert torch.allclose(decode_grid(module, module(maps), rows, cols, CELL), whole, atol=1e-12)
        alone = decode_grid(module, module(maps[1:]), rows[2:7], cols[5:], CELL)
    assert torch.allclose(alone[0], whole[1, :, 2:7, 5:], atol=1e-12)


def test_queries_are_the_points_decoded_together():
    module, maps = tiny(), features()
    positions, cell = as_grid(*grid())[None], torch.tensor([CELL], dtype=torch.float64)
    together = decode_points(module, module(maps), positions, cell)
    assert not torch.allclose(decode_points(module, module(maps), positions[:, :9], cell), together[:, :9])


def test_gradcheck():
    module = tiny()
    positions = torch.rand(1, 3, 2, dtype=torch.float64) * 3
    cell = torch.tensor([[0.4, 0.4]], dtype=torch.float64)
    maps = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda m: decode_points(module, module(m), positions, cell), (maps,), nondet_tol=1e-12
    )


def test_scales_beyond_the_largest_are_decoded_with_its_cell():
    module, maps = tiny(), features()
    positions = torch.rand(1, 5, 2, dtype=torch.float64) * 3
    fourth, eighth = (torch.full((1, 2), 1 / scale, dtype=torch.float64) for scale in (4, 8))
    capped = decode_points(module, module(maps), positions, eighth)
    assert torch.equal(capped, decode_points(module, module(maps), positions, fourth))
    module.max_scale = None
    assert not torch.equal(capped, decode_points(module, module(maps), positions, eighth))


SWITCHES = {
    "without LTD": ({"texture_decoder": False}, 198_147),
    "without STF": ({"self_texture": False}, 131_072),
    "without TL": ({"texture_learner": False}, 3 * 147_712 + 512 - 147_712),
    "without LFI": ({"local_interactor": False}, 16_640),
    "TL and LTD": ({"pixel_decoder": False, "self_texture": False}, 16_640 + 147_712 + 199_171 + 131_072),
    "LFI and LPD": (
        {"texture_decoder": False, "self_texture": False},
        198_147 + 131_072 + 3 * 147_712 + 512,
    ),
}


@pytest.mark.parametrize("row", SWITCHES)
def test_each_switch_removes_its_part(row):
    switches, parameters = SWITCHES[row]
    assert (
        count_parameters(Branches(64, Parts())) - count_parameters(Branches(64, Parts(**switches)))
        == parameters
    )
    module = tiny(**switches)
    image = decode_grid(module, module(features()), *grid(), CELL)
    assert image.shape == (1, 3, 9, 12)
    image.square().sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_refuses_parts_that_make_no_model():
    for wrong in (
        {"keys": "none"},
        {"pixel_decoder": False, "texture_decoder": False, "self_texture": False},
        {"pixel_decoder": False},
        {"window_px": 16},
    ):
        with pytest.raises(ConfigError):
            Parts(**wrong)


@torch.no_grad()
def test_the_texture_map_is_eq_3_around_the_cell_that_each_point_lies_in():
    module, maps = tiny(), features()
    rows, cols = grid()
    found = module.texture(module(maps), rows, cols, CELL)
    assert found.shape == (1, 4, 9, 12)
    spectrum = module.learner(maps)[0]
    c = 2 * torch.tensor(CELL, dtype=torch.float64)
    for i, j in ((0, 0), (3, 5), (8, 11)):
        cell = (int(rows[i] + 0.5), int(cols[j] + 0.5))
        offset = 2 * torch.stack((rows[i] - cell[0], cols[j] - cell[1]))
        amplitude, along_rows, along_cols = spectrum[:, cell[0], cell[1]].chunk(3)
        phase = 2 * torch.pi * torch.sigmoid(module.learner.phase.weight @ c)
        expected = amplitude * torch.sin(along_rows * offset[0] + along_cols * offset[1] + phase)
        assert torch.allclose(found[0, :, i, j], expected, atol=1e-12)


def test_without_a_decoder_is_a_copy():
    module = tiny()
    assert module.without("pixel_decoder").pixel_decoder is None
    assert module.pixel_decoder is not None


def test_no_texture_without_its_branch():
    module = tiny(texture_decoder=False, self_texture=False)
    with pytest.raises(ConfigError, match="texture"):
        module.texture(module(features()), *grid(), CELL)
