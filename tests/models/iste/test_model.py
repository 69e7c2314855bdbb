"""ISTE as a whole: counts, shapes, tiles, key sets on real tissue."""

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.tiles import plan_tiles
from histoscale.models.base import as_grid, count_parameters
from histoscale.models.iste.model import ISTE


def tiny(**parts) -> ISTE:
    return ISTE(blocks=1, channels=8, width=16, hidden=16, **parts).eval()


def tiled(model: ISTE, image: torch.Tensor, size: tuple[int, int], tile_px: int) -> torch.Tensor:
    """Render an image tile by tile, as `inference` does."""
    (h, w), (H, W) = image.shape[-2:], size
    output = torch.full((len(image), 3, H, W), torch.nan)
    alignment = (model.alignment_px, model.alignment_px)
    for tile in plan_tiles((h, w), size, tile_px, model.halo_px, alignment):
        rows = output_positions(H, h, tile.rows.out_start, tile.rows.out_stop) - tile.rows.window_start
        cols = output_positions(W, w, tile.cols.out_start, tile.cols.out_stop) - tile.cols.window_start
        maps = model.encode(image[:, :, tile.rows.window, tile.cols.window])
        output[:, :, tile.rows.out, tile.cols.out] = model.render(maps, rows, cols, (h / H, w / W))
    return output


def test_parameters_of_table_8():
    assert count_parameters(ISTE("swinir")) == 12_739_434
    assert count_parameters(ISTE("swinir", lfi="code")) == 12_743_594


def test_parameters_with_the_encoders_of_table_7():
    head = 16_640 + 147_712 + 3 * 147_712 + 512 + 131_072 + 199_171 + 198_147
    assert count_parameters(ISTE("edsr")) == 1_220_416 + head
    assert count_parameters(ISTE("rdn")) == 21_973_952 + head


@pytest.mark.parametrize("keys", ["all", "queries", "cells"])
def test_any_size(keys):
    model = tiny(keys=keys)
    for h, w, H, W in ((1, 1, 3, 2), (5, 7, 5, 7), (6, 4, 17, 13)):
        assert model(torch.rand(2, 3, h, w), (H, W)).shape == (2, 3, H, W)


@torch.no_grad()
def test_render_and_decode_agree_where_one_block_holds_the_image():
    model, image = tiny(), torch.rand(2, 3, 6, 8)
    rows, cols, cell = output_positions(15, 6), output_positions(20, 8), (0.4, 0.4)
    maps = model.encode(image)
    rendered = model.render(maps, rows, cols, cell)
    positions = as_grid(rows, cols).expand(2, -1, 2)
    decoded = model.decode(maps, positions, torch.tensor([cell, cell]))
    assert torch.allclose(rendered.flatten(2).transpose(1, 2), decoded, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(
    ("keys", "scale"), [("queries", 2.7), ("queries", 2.0), ("cells", 2.5), ("all", 1.5)]
)
def test_tiles_give_the_pixels_of_the_whole_image(keys, scale):
    model = tiny(keys=keys, window_px=12).double()
    image = torch.rand(1, 3, 29, 41, dtype=torch.float64)
    size = (int(29 * scale), int(41 * scale))
    whole = model(image, size)
    for tile_px in (12, 24):
        assert torch.allclose(tiled(model, image, size, tile_px).double(), whole, atol=1e-6)


@torch.no_grad()
def test_the_range_is_that_of_images():
    model = tiny()
    model.branches.pixel_decoder.zero_output()
    model.branches.texture_decoder.zero_output()
    assert torch.equal(model(torch.rand(1, 3, 4, 4), (8, 8)), torch.full((1, 3, 8, 8), 0.5))


def test_training_reaches_every_weight():
    model = tiny()
    features = model.encode(torch.rand(2, 3, 8, 8))
    positions = torch.rand(2, 10, 2, dtype=torch.float64) * 8 - 0.5
    model.decode(features, positions, torch.tensor([[0.5, 0.5], [0.3, 0.3]])).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_halo_adds_the_encoder_and_the_branches():
    assert tiny().halo_px == 4 + 3
    assert tiny(keys="cells").halo_px == 4 + 33
    assert ISTE("swinir", keys="cells").alignment_px == 16


def test_refuses_unknown_encoders():
    with pytest.raises(ConfigError, match="swinir"):
        ISTE("vgg")


@torch.no_grad()
@pytest.mark.parametrize("parts", [{}, {"keys": "cells"}, {"keys": "all"}, {"texture_learner": False}])
def test_the_outputs_of_both_decoders_add_up_to_the_output(parts):
    model, image = tiny(**parts), torch.rand(2, 3, 6, 8)
    seen = model.intermediate_maps(image, (15, 20))
    assert torch.allclose((seen.i_lpd + seen.i_ltd) * 0.5 + 0.5, model(image, (15, 20)), atol=1e-6)
    assert seen.i_lpd.std() > 1e-3
    assert seen.i_ltd.std() > 1e-3
    assert torch.equal(seen.f_lr, model.encoder((image - 0.5) / 0.5))
    assert seen.f_tl.shape == (2, 16, 15, 20)


@pytest.mark.parametrize("part", ["pixel_decoder", "texture_decoder"])
def test_a_single_branch_has_no_intermediate_maps(part):
    with pytest.raises(ConfigError, match="pixel_decoder and texture_decoder"):
        tiny(self_texture=False, **{part: False}).intermediate_maps(torch.rand(1, 3, 6, 8), (12, 16))
