"""ITSRN against its definition, point by point, with the filter written out."""

import pytest
import torch
from torch import Tensor

from histoscale.imaging.coords import normalise, output_positions
from histoscale.models.base import count_parameters
from histoscale.models.baselines.itsrn import ITSRN

WIDTH = 16


def tiny(**arguments: int) -> ITSRN:
    return ITSRN("edsr", blocks=1, channels=6, width=WIDTH, **arguments).double()


def filter_matrix(model: ITSRN) -> tuple[Tensor, Tensor]:
    """The perceptron's last layer as published: [9 channels x 3, width] and its bias."""
    kernels = model.filters.weight.view(3, WIDTH + 1, -1)  # colour, hidden unit, channel x neighbour
    matrix = kernels.permute(2, 0, 1).flatten(0, 1)
    return matrix[:, :WIDTH], matrix[:, WIDTH]


def literal(
    model: ITSRN, image: Tensor, y: float, x: float, cell: tuple[float, float], shift_of: tuple[int, int]
) -> Tensor:
    """One colour as ITSRN's code has it, in coordinates of [-1, 1], ``scale`` being 1 / H and 1 / W."""
    features = model.encoder(image * 2 - 1)
    c, h, w = features.shape[1:]
    unfolded = torch.nn.functional.unfold(features, 3, padding=1).view(9 * c, h, w)
    matrix, bias = filter_matrix(model)
    proposed = []
    for down in (-1, 1):
        for right in (-1, 1):
            query = []
            for coordinate, step, n, side, size in (
                (y, down, h, cell[0], shift_of[0]),
                (x, right, w, cell[1], shift_of[1]),
            ):
                shift = (1 - side / size) / (size - 1) * size / n
                moved = min(max(coordinate + step * shift + 1e-6, -1 + 1e-6), 1 - 1e-6)
                index = round(((moved + 1) * n - 1) / 2)
                query.append((index, (coordinate - (-1 + (2 * index + 1) / n)) * n))
            (i, offset_y), (j, offset_x) = query
            place = torch.tensor([offset_y, offset_x, *cell], dtype=image.dtype)
            weight = (matrix @ model.places(place) + bias).view(9 * c, 3)
            score = model.score(torch.tensor([offset_y, offset_x], dtype=image.dtype))
            proposed.append(unfolded[:, i, j] @ weight + score)
    fused = [model.fuse(torch.stack([p[colour] for p in proposed])) for colour in range(3)]
    return torch.cat(fused) * 0.5 + 0.5


def assert_literal(model: ITSRN, n: int, size: int, shift_of: int) -> None:
    image = torch.rand(1, 3, n, n, dtype=torch.float64)
    cell = (n / size, n / size)
    centres = normalise(output_positions(size, n), n).tolist()
    with torch.no_grad():
        got = model(image, (size, size))
        for i, y in enumerate(centres):
            for j, x in enumerate(centres):
                want = literal(model, image, y, x, cell, (shift_of, shift_of))
                torch.testing.assert_close(got[0, :, i, j], want, atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [10, 15, 17], ids=["x2", "x3", "real"])
def test_equals_the_literal_form_with_the_shift_of_its_patches(size: int) -> None:
    assert_literal(tiny(), 5, size, shift_of=48)


@pytest.mark.parametrize("size", [10, 15, 17], ids=["x2", "x3", "real"])
def test_equals_the_published_form_where_the_shift_is_the_image_s(size: int) -> None:
    assert_literal(tiny(shift_of_px=5), 5, size, shift_of=5)


def test_the_shift_of_the_patches_suits_images_of_other_sizes() -> None:
    """At integer scales no pixel is so close to a cell's centre that the shift has an effect."""
    image = torch.rand(1, 3, 20, 20, dtype=torch.float64)
    model, published = tiny(), tiny(shift_of_px=20)
    published.load_state_dict(model.state_dict())
    with torch.no_grad():
        for size in (40, 60, 80, 120, 160):
            assert torch.equal(model(image, (size, size)), published(image, (size, size)))


def test_the_filters_are_initialised_as_one_linear_layer() -> None:
    weight = ITSRN("edsr", blocks=1).filters.weight
    assert 0.95 / 16 < weight.abs().max() <= 1 / 16


def test_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(ITSRN("swinir")) == 12_248_358
        assert count_parameters(ITSRN("edsr")) == 1_220_416 + 645_314
