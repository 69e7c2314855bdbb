"""The contract of every model of the catalogue: size, range, no state, tiles, gradients, float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from histoscale.errors import ScaleError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, as_grid
from histoscale.models.catalog import MODELS, build

SMALL_ENCODER = {"encoder": "edsr", "blocks": 1, "channels": 6}
SMALL_ISTE = {"encoder": "edsr", "blocks": 1, "channels": 8, "width": 16}
SMALL_FAST = {"blocks": 1, "channels": 6, "hidden": 8, "waves": 7}
SMALL: dict[str, dict[str, Any]] = {
    "bicubic": {},
    "edsr": {"scale": 2, "blocks": 1, "channels": 6},
    "rdn": {"scale": 3, "blocks": 1, "channels": 4},
    "swinir": {"scale": 4, "blocks": 1, "channels": 4, "embedding": 12},
    "srmfenet": {"scale": 2, "blocks": 1, "channels": 6, "window_px": 16},
    "li2021": {"scale": 3, "width": 4, "window_px": 112},
    "swdnet": {"scale": 2, "channels": 16, "blocks": 1, "width": 16, "window_px": 16},
    "liif": {**SMALL_ENCODER, "width": 16},
    "lte": {**SMALL_ENCODER, "width": 16},
    "itsrn": {**SMALL_ENCODER, "width": 16},
    "lit": {**SMALL_ENCODER, "width": 8, "heads": 2, "hidden": 12},
    "iste": {**SMALL_ISTE, "window_px": 12},
    "iste-cells": {**SMALL_ISTE, "window_px": 6},
    "iste-fast": SMALL_FAST,
    "iste-fast-large": SMALL_FAST,
    "iste-plus": {"blocks": 1, "channels": 8, "width": 16, "waves": 7, "window_px": 6},
}
"""Arguments; `SMALL_ENCODER` for all others, so that a new model needs no line here."""
FROM_BLACK = {"srmfenet", "li2021"}
SCALES = {"x2": (2.0, 2.0), "x2.5": (2.5, 2.5), "real": (2.37, 1.61)}
FIXED_SCALE = {"edsr", "rdn", "swinir", "srmfenet", "li2021", "swdnet"}
ANY_SCALE = [name for name in MODELS if name not in FIXED_SCALE]

every_model = pytest.mark.parametrize("name", MODELS)
every_coordinate_model = pytest.mark.parametrize("name", ANY_SCALE)


def small(name: str) -> SuperResolver:
    """Build a small model called ``name`` whose zero-initialised weights are no longer zero."""
    model = build(name, **SMALL.get(name, SMALL_ENCODER)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


def own_size(model: SuperResolver, h: int, w: int) -> tuple[int, int]:
    """Return a size that the model supports for ``h`` x ``w``; a fractional scale if possible."""
    scale = getattr(model, "scale", None)
    return (h * scale, w * scale) if scale else (round(h * 2.37), round(w * 1.7))


def random_image(h: int, w: int, b: int = 1) -> Tensor:
    return torch.rand(b, 3, h, w, dtype=torch.float64)


@every_model
@pytest.mark.parametrize("shape", [(1, 1), (9, 14)])
def test_output_has_exactly_the_expected_size(name: str, shape: tuple[int, int]) -> None:
    model = small(name)
    expected = own_size(model, *shape)
    with torch.inference_mode():
        assert model(random_image(*shape, b=2), expected).shape == (2, 3, *expected)


@every_coordinate_model
@pytest.mark.parametrize("size", [(9, 14), (18, 28), (27, 15), (31, 40)])
def test_any_size_of_at_least_the_image_s_is_supported(name: str, size: tuple[int, int]) -> None:
    model = small(name)
    assert isinstance(model, CoordinateSuperResolver)
    with torch.inference_mode():
        assert model(random_image(9, 14), size).shape == (1, 3, *size)


@every_model
def test_a_smaller_size_is_refused(name: str) -> None:
    with pytest.raises(ScaleError, match="8 x 14"):
        small(name)(random_image(9, 14), (8, 14))


@every_model
def test_images_are_in_0_to_1(name: str) -> None:
    """With all weights zero the output is middle grey, the interpolated image or black."""
    model = small(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        image = random_image(9, 14)
        size = own_size(model, 9, 14)
        found = model(image, size)
    plain = [torch.zeros(1, 3, *size)] if name in FROM_BLACK else interpolations(image, size)
    assert any(torch.allclose(found, start.double()) for start in plain)


def interpolations(image: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Return middle grey, and the image by nearest, bilinear and bicubic interpolation."""
    return [
        torch.full((1, 3, *size), 0.5),
        interpolate(image, size, mode="nearest-exact"),
        interpolate(image, size, mode="bilinear", align_corners=False),
        bicubic_resize(image, size),
    ]


@every_model
def test_no_state_survives_a_call(name: str) -> None:
    def members() -> list[dict[str, int]]:
        return [{key: id(value) for key, value in vars(module).items()} for module in model.modules()]

    model = small(name)
    first, second = random_image(9, 14), random_image(12, 8)
    before = members()
    with torch.no_grad():
        expected = model(first, own_size(model, 9, 14))
        model(second, own_size(model, 12, 8))
        assert members() == before
        assert torch.equal(model(first, own_size(model, 9, 14)), expected)


def tile_of(
    model: SuperResolver, image: Tensor, size: tuple[int, int], core: slice, halo_px: int
) -> tuple[Tensor, tuple[slice, slice]]:
    """Compute the output of a core from a window around it, and its place in the whole output."""
    step = model.alignment_px
    start = max(0, (core.start - halo_px) // step * step)
    window = image[:, :, start : core.stop + halo_px, start : core.stop + halo_px]
    axes, places = [], []
    for n, n_out in zip(image.shape[2:], size, strict=True):
        positions = output_positions(n_out, n)
        inside = ((positions >= core.start - 0.5) & (positions < core.stop - 0.5)).nonzero().flatten()
        places.append(slice(int(inside[0]), int(inside[-1]) + 1))
        axes.append(positions[places[-1]] - start)
    if isinstance(model, CoordinateSuperResolver):
        cell = (image.shape[2] / size[0], image.shape[3] / size[1])
        return model.render(model.encode(window), axes[0], axes[1], cell), (places[0], places[1])
    scale = size[0] // image.shape[2]
    whole = model(window, (window.shape[2] * scale, window.shape[3] * scale))
    kept = slice((core.start - start) * scale, (core.stop - start) * scale)
    return whole[:, :, kept, kept], (places[0], places[1])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        pytest.param(name, scale, id=f"{name}-{key if scale else 'own'}")
        for name in MODELS
        for key, scale in (SCALES.items() if name in ANY_SCALE else [("own", None)])
    ],
)
def test_a_tile_with_its_halo_equals_its_part_of_the_whole(
    name: str, scale: tuple[float, float] | None
) -> None:
    model = small(name)
    step, halo = model.alignment_px, model.halo_px
    first = math.ceil((halo + 1) / step) * step
    core = slice(first, first + math.ceil(7 / step) * step)
    image = random_image(core.stop + halo + 3, core.stop + halo + 6)
    h, w = image.shape[2:]
    size = (round(h * scale[0]), round(w * scale[1])) if scale else own_size(model, h, w)
    with torch.inference_mode():
        tile, place = tile_of(model, image, size, core, halo)
        bare, _ = tile_of(model, image, size, core, 0)
        part = model(image, size)[:, :, place[0], place[1]]
    torch.testing.assert_close(tile, part, atol=1e-9, rtol=0)
    assert (bare - part).abs().max() > 1e-4  # without its halo the pixels differ


def forwarded(model: SuperResolver, image: Tensor) -> Tensor:
    return model(image, own_size(model, *image.shape[2:]))


def decoded(model: SuperResolver, image: Tensor) -> Tensor:
    assert isinstance(model, CoordinateSuperResolver)
    h, w = image.shape[2:]
    positions = torch.rand(2, 60, 2, dtype=torch.float64) * torch.tensor([h, w]) - 0.5
    return model.decode(model.encode(image), positions, torch.tensor([[0.5, 0.5], [0.3, 0.4]]).double())


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        pytest.param(name, compute, id=f"{name}-{compute.__name__}")
        for name in MODELS
        for compute in ((forwarded, decoded) if name in ANY_SCALE else (forwarded,))
    ],
)
def test_gradient_reaches_every_parameter(
    name: str, compute: Callable[[SuperResolver, Tensor], Tensor]
) -> None:
    model = small(name)
    image = random_image(9, 14, b=2).requires_grad_()
    compute(model, image).square().mean().backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [
        key for key in silent if not key.endswith("attend.bias")
    ] == []  # a constant does not change a softmax
    assert image.grad.abs().sum() > 0


@every_coordinate_model
def test_a_bfloat16_training_step_is_finite_and_near(name: str) -> None:
    model, image = small(name).float(), random_image(9, 14, b=2).float()
    positions = torch.rand(2, 60, 2, dtype=torch.float64) * torch.tensor([9, 14]) - 0.5
    cell = torch.tensor([[0.5, 0.5], [0.3, 0.4]])
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model.decode(model.encode(image), positions, cell).float()
    with torch.no_grad():
        fine = model.decode(model.encode(image), positions, cell)
    torch.testing.assert_close(coarse, fine, atol=0.02, rtol=0)
    if coarse.requires_grad:  # bicubic has no parameters
        coarse.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_coordinate_model
def test_scattered_points_and_grids_agree(name: str) -> None:
    """With the key set ``queries`` the points of the grid have to be one block."""
    model = small(name)
    assert isinstance(model, CoordinateSuperResolver)
    image = random_image(5, 6, b=2)
    rows, cols = output_positions(12, 5), output_positions(13, 6)
    cell = (5 / 12, 6 / 13)
    with torch.no_grad():
        features = model.encode(image)
        grid = model.render(features, rows, cols, cell)
        points = model.decode(
            features, as_grid(rows, cols).expand(2, -1, -1), torch.tensor([cell] * 2).double()
        )
    torch.testing.assert_close(points.transpose(1, 2).reshape(grid.shape), grid)


@every_model
def test_float64_and_float32_agree(name: str) -> None:
    model = small(name)
    image = random_image(9, 14)
    with torch.no_grad():
        double = forwarded(model, image)
        single = forwarded(model.float(), image.float())
    assert double.dtype == torch.float64
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=0)
