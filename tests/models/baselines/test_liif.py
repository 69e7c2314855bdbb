"""LIIF against its definition, point by point."""

from typing import Any

import pytest
import torch
from torch import Tensor

from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.models.base import as_grid, count_parameters
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.baselines.liif import LIIF
from histoscale.models.iste.model import ISTE


def literal(model: LIIF, image: Tensor, y: float, x: float, cell: tuple[float, float]) -> Tensor:
    """One colour as LIIF's text and code have it, in coordinates of [-1, 1] and with one first layer."""
    features = model.encoder(image * 2 - 1)
    c, h, w = features.shape[1:]
    unfolded = torch.nn.functional.unfold(features, 3, padding=1).view(9 * c, h, w)
    first = torch.cat((model.feature_part.weight.flatten(1), model.place_part.weight), dim=1)
    colours, areas = [], []
    for down in (-1, 1):
        for right in (-1, 1):
            query = []
            for coordinate, step, n in ((y, down, h), (x, right, w)):
                moved = min(max(coordinate + step / n + 1e-6, -1 + 1e-6), 1 - 1e-6)
                index = round(((moved + 1) * n - 1) / 2)
                query.append((index, (coordinate - (-1 + (2 * index + 1) / n)) * n))
            (i, offset_y), (j, offset_x) = query
            sizes = [2 * cell[0], 2 * cell[1]]
            place = torch.tensor([offset_y, offset_x, *sizes], dtype=image.dtype)
            hidden = first @ torch.cat((unfolded[:, i, j], place)) + model.feature_part.bias
            colours.append(model.layers(hidden))
            areas.append(abs(offset_y * offset_x) + 1e-9)
    mixed = sum(areas[3 - t] / sum(areas) * colours[t] for t in range(4))
    return mixed * 0.5 + 0.5


@pytest.mark.parametrize("size", [(10, 12), (15, 18), (13, 17)], ids=["x2", "x3", "real"])
def test_equals_the_literal_form(assert_pixel_by_pixel: Any, size: tuple[int, int]) -> None:
    assert_pixel_by_pixel(LIIF("edsr", blocks=1, channels=6, width=16).double(), literal, size)


def test_decode_takes_a_cell_per_image() -> None:
    model = LIIF("edsr", blocks=1, channels=6, width=16).double()
    image = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    rows, cols = output_positions(9, 5), output_positions(13, 6)
    cells = [(5 / 9, 6 / 13), (0.25, 0.3)]
    points = as_grid(rows, cols).expand(2, -1, -1)
    together = model.decode(model.encode(image), points, torch.tensor(cells, dtype=torch.float64))
    for k, cell in enumerate(cells):
        alone = model.render(model.encode(image[k : k + 1]), rows, cols, cell)
        torch.testing.assert_close(together[k].T.reshape(alone[0].shape), alone[0])


def test_parameters() -> None:
    with torch.device("meta"):
        with_swinir, with_edsr = LIIF("swinir"), LIIF("edsr")
    assert count_parameters(with_swinir) == 11_949_927
    assert count_parameters(with_edsr) == 1_220_416 + 346_883


def test_the_starred_model_of_table_9_is_the_first_larger_than_iste() -> None:
    """SwinIR has one block more, as the published count shows; EDSR has as few more as possible."""
    with torch.device("meta"):
        on_swinir = count_parameters(LIIF("swinir", blocks=7))
        smaller, larger = (count_parameters(LIIF("edsr", blocks=blocks)) for blocks in (26, 27))
        assert on_swinir == 13_816_887 > count_parameters(ISTE("swinir"))
        assert smaller < count_parameters(ISTE("edsr")) < larger == 2_379_715


def test_first_layer_starts_as_one_linear_layer() -> None:
    model = LIIF("edsr", blocks=1)
    bound = 580**-0.5
    for weight in (model.feature_part.weight, model.place_part.weight):
        assert 0.95 * bound < weight.abs().max() <= bound


def test_the_bicubic_skip_starts_at_bicubic() -> None:
    model = LIIF("edsr", blocks=1, channels=6, width=16, skip="bicubic")
    image = torch.rand(1, 3, 8, 7)
    torch.testing.assert_close(model(image, (19, 18)), Bicubic()(image, (19, 18)))
    torch.nn.init.constant_(model.layers[-1].bias, 0.5)
    torch.testing.assert_close(model(image, (19, 18)), Bicubic()(image, (19, 18)) + 0.25)


def test_an_unknown_skip_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"skip 'bilinear'.*bicubic"):
        LIIF(skip="bilinear")
