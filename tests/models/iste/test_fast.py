"""iste-fast: starts at bicubic; its halo suffices; all three ways to evaluate it agree."""

import pytest
import torch

from histoscale.errors import ScaleError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.base import as_grid, count_parameters
from histoscale.models.iste.fast import FastISTE, ScaleModulation, cells_under


@pytest.fixture
def model() -> FastISTE:
    """Build a small model whose head is not zero."""
    small = FastISTE(blocks=2, channels=8, hidden=12, waves=6)
    for parameter in (*small.head.coefficients.parameters(), *small.head.modulation.parameters()):
        torch.nn.init.normal_(parameter, std=0.2)
    return small.eval().requires_grad_(False)


def test_sizes_of_the_two_fast_models() -> None:
    assert count_parameters(FastISTE(8, 48)) == 437_358
    trunk, spread, modulation, coefficients, waves = 1_220_416, 73_856, 8_544, 18_576, 47 * 3 + 1
    assert count_parameters(FastISTE(16, 64)) == trunk + spread + modulation + coefficients + waves


def test_starts_at_bicubic_almost() -> None:
    image = torch.rand(1, 3, 12, 10)
    difference = FastISTE(2, 8)(image, (30, 25)) - bicubic_resize(image, (30, 25))
    assert 0 < difference.abs().max() < 0.05


@pytest.mark.parametrize("size", [(24, 22), (36, 33), (31, 29), (12, 11), (100, 91)])
def test_scattered_points_equal_the_grid(model: FastISTE, size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 12, 11)
    points = as_grid(output_positions(size[0], 12), output_positions(size[1], 11))[None].expand(2, -1, -1)
    cell = torch.tensor([[12 / size[0], 11 / size[1]]] * 2)
    scattered = model.decode(model.encode(image), points, cell).transpose(1, 2)
    torch.testing.assert_close(scattered.reshape(2, 3, *size), model(image, size), atol=2e-5, rtol=0)


@pytest.mark.parametrize("scale", [2.0, 2.5, 3.1])
def test_a_tile_with_its_halo_equals_the_whole(model: FastISTE, scale: float) -> None:
    image, halo = torch.rand(1, 3, 48, 40), model.halo_px
    size = (round(48 * scale), round(40 * scale))
    whole = model(image, size)
    top, left, core = 16, 12, 12
    region = image[:, :, top - halo : top + core + halo, left - halo : left + core + halo]
    rows, cols = output_positions(size[0], 48), output_positions(size[1], 40)
    inside = [((p > n - 0.5) & (p < n + core - 0.5)) for p, n in ((rows, top), (cols, left))]
    tile = model.render(
        model.encode(region),
        rows[inside[0]] - top + halo,
        cols[inside[1]] - left + halo,
        (48 / size[0], 40 / size[1]),
    )
    torch.testing.assert_close(tile, whole[:, :, inside[0]][..., inside[1]], atol=1e-5, rtol=0)
    too_little = image[:, :, top - halo + 2 : top + core + halo - 2, left - halo + 2 : left + core + halo - 2]
    cut = model.render(
        model.encode(too_little),
        rows[inside[0]] - top + halo - 2,
        cols[inside[1]] - left + halo - 2,
        (48 / size[0], 40 / size[1]),
    )
    assert (cut - tile).abs().max() > 1e-5, "a smaller halo must show, else the halo is larger than needed"


def test_one_pixel_is_an_image(model: FastISTE) -> None:
    assert model(torch.rand(1, 3, 1, 1), (3, 5)).isfinite().all()


def test_smaller_than_the_input_is_refused(model: FastISTE) -> None:
    with pytest.raises(ScaleError, match=r"4 x 8.*8 x 8"):
        model(torch.rand(1, 3, 8, 8), (4, 8))


def test_modulation_starts_as_the_identity_and_depends_on_the_scale() -> None:
    modulation, hidden = ScaleModulation(4), torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(modulation(hidden, torch.tensor([[0.5, 0.5]])), hidden)
    torch.nn.init.normal_(modulation.layers[2].weight)
    assert not torch.allclose(
        modulation(hidden, torch.tensor([[0.5, 0.5]])), modulation(hidden, torch.tensor([[0.25, 0.25]]))
    )


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (-0.25, 7.25, [0, 0, 1, 2, 3, 4, 5, 6, 7, 7]),
        (2.75, 4.2, [2, 3, 4, 5]),
        (-0.4, 0.4, [0, 0, 1]),
    ],
)
def test_cells_under_a_run(first: float, last: float, expected: list[int]) -> None:
    positions = torch.tensor([first, last], dtype=torch.float64)
    cells, moved = cells_under(positions, 8)
    assert cells.tolist() == expected
    assert moved.tolist() == pytest.approx((positions - (expected[1] - 1)).tolist())
