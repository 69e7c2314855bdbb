"""Differences between a checkpoint and a model are named with the authors' names."""

import re
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from histoscale.errors import HistoscaleError, WeightsError
from histoscale.importing.checkpoint import Checkpoint
from histoscale.importing.fitting import KNOWN, NAMED, differences, fit, shaped
from histoscale.models.catalog import build

MODELS = {
    "liif": lambda official: official.Liif(official.Rdn(), 4),
    "lte": lambda official: official.Lte(official.Edsr(), 8),
    "lmi": lambda official: official.Lmi(official.Edsr(), 8),
    "itsrn": lambda official: official.Itsrn(official.Edsr(), 8),
    "lit": lambda official: official.Lit(official.Edsr(), 8),
    "iste": lambda official: official.Iste(official.Edsr(), 8),
    "edsr": lambda official: official.Edsr(scale=4, high=255),
    "rdn": lambda official: official.Rdn(scale=3),
    "swinir": lambda official: official.SwinIr(scale=2, dim=12, channels=8),
}


def holding(state: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint(Path("x.pth"), "", state, centred=False)


def refusal(state: dict[str, Tensor], name: str) -> str:
    with pytest.raises(HistoscaleError) as caught:
        fit(holding(state), name)
    return str(caught.value)


@pytest.fixture(params=KNOWN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def theirs(official: SimpleNamespace, name: str) -> dict[str, Tensor]:
    """Build the tensors of a small official model."""
    model: nn.Module = MODELS[name](official)
    return model.state_dict()


def told_apart(used: Iterable[str]) -> list[str]:
    """The names without those of the inner four of SwinIR's six layers, which one pattern names."""
    return [key for key in used if not re.search(r"residual_group\.blocks\.[1-4]\.", key)]


def test_each_tensor_that_is_missing_is_named_and_no_other(theirs: dict[str, Tensor], name: str) -> None:
    layout, _ = fit(holding(theirs), name)
    for key in told_apart(layout.used(theirs)):
        rest = {k: t for k, t in theirs.items() if k != key}
        assert refusal(rest, name) == f"missing: {key}"


def test_each_tensor_of_another_shape_is_named(theirs: dict[str, Tensor], name: str) -> None:
    """Scalars, sides of zero and of billions: no model is built from them."""
    layout, _ = fit(holding(theirs), name)
    shapes = cycle([(), (0,), (2**40, 0), (0, 0, 3, 3)])
    for key, shape in zip(told_apart(layout.used(theirs)), shapes, strict=False):
        said = refusal(theirs | {key: torch.zeros(shape)}, name)
        assert said == f"of another shape: {key} expected {tuple(theirs[key].shape)}, found {shape}"


def test_every_number_of_ours_is_one_of_theirs(theirs: dict[str, Tensor], name: str) -> None:
    layout, arguments = fit(holding(theirs), name)
    ours = build(name, **arguments).state_dict()
    count = sum(tensor.numel() for tensor in ours.values())
    places = layout.official(shaped(torch.arange(count), ours)).values()
    assert torch.equal(torch.cat([part.flatten() for part in places]).sort().values, torch.arange(count))


def test_both_tensors_of_a_first_layer_may_be_missing(official: SimpleNamespace) -> None:
    state = official.Liif(official.Edsr(), 8).state_dict()
    for key in (
        "encoder.head.0.weight",
        "encoder.head.0.bias",
        "imnet.layers.0.weight",
        "imnet.layers.0.bias",
    ):
        del state[key]
    assert refusal(state, "liif") == (
        "missing: encoder.head.0.bias, encoder.head.0.weight, imnet.layers.0.bias, imnet.layers.0.weight"
    )


def test_one_layer_of_another_width_is_reported_alone(official: SimpleNamespace) -> None:
    state = official.Liif(official.Edsr(), 8).state_dict() | {"imnet.layers.0.weight": torch.zeros(17, 76)}
    assert (
        refusal(state, "liif") == "of another shape: imnet.layers.0.weight expected (16, 76), found (17, 76)"
    )


def test_the_last_block_may_be_missing(official: SimpleNamespace) -> None:
    state = official.Edsr(scale=2, high=255).state_dict()
    rest = {key: tensor for key, tensor in state.items() if not key.startswith("body.1.")}
    assert refusal(rest, "edsr") == "missing: " + ", ".join(sorted(state.keys() - rest.keys()))


def test_a_number_out_of_range_is_not_a_number_of_blocks(official: SimpleNamespace) -> None:
    state = official.Edsr(scale=2, high=255).state_dict() | {"body.9999.body.0.weight": torch.zeros(1)}
    assert refusal(state, "edsr") == "unknown: body.9999.body.0.weight"


def test_an_unknown_encoder_is_refused() -> None:
    state = {"imnet.layers.0.weight": torch.zeros(4, 40), "encoder.stem.weight": torch.zeros(4)}
    with pytest.raises(WeightsError, match=r"no blocks of a known encoder \(edsr, rdn, swinir\)"):
        fit(holding(state), "liif")


def test_long_lists_are_cut_and_the_rest_is_counted() -> None:
    many = {f"layer{n:02}": torch.zeros(1) for n in range(NAMED + 3)}
    said = differences(many, {"other": torch.zeros(1)})
    assert re.fullmatch(r"missing: layer00, .*, layer09 and 3 more; unknown: other", said)


def test_integers_are_not_weights() -> None:
    said = differences({"a": torch.zeros(2)}, {"a": torch.zeros(2, dtype=torch.int64)})
    assert said == "of another shape: a expected (2,), found (2,) of torch.int64"
