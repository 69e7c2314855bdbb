"""Compare a checkpoint with a model, and copy its numbers into a model of this package."""

from typing import Any

import torch
from torch import Tensor

from histoscale.errors import WeightsError
from histoscale.importing import heads
from histoscale.importing.checkpoint import Checkpoint, State
from histoscale.importing.encoders import on_encoder
from histoscale.importing.fixed_scale import OF_LIIF, PLAIN
from histoscale.importing.layout import Layout
from histoscale.models.base import SuperResolver
from histoscale.models.catalog import build

ANY_SCALE = {
    "liif": heads.LIIF,
    "lte": heads.LTE,
    "lmi": heads.LMI,
    "itsrn": heads.ITSRN,
    "lit": heads.LIT,
    "iste": heads.ISTE,
}
KNOWN = (*ANY_SCALE, *PLAIN)
"""Models that official checkpoints can be imported as."""

NAMED = 10
"""Number of tensors that a message names before it counts the others."""


def fit(read: Checkpoint, name: str) -> tuple[Layout, dict[str, Any]]:
    """Return the layout of a checkpoint and the arguments of the model that fits it.

    Args:
        read: the checkpoint.
        name: one of `KNOWN`.

    Raises:
        WeightsError: if names or shapes differ from those that the authors of ``name`` save; the message
            names the tensors.
        ConfigError: if a model with these arguments cannot be built.
    """
    if name in ANY_SCALE:
        layout = on_encoder(ANY_SCALE[name], read.state)
    else:
        layout = (OF_LIIF if read.centred else PLAIN)[name]
    arguments = layout.arguments(read.state)
    with torch.device("meta"):  # only shapes, so that a damaged file cannot exhaust memory
        expected = layout.official(build(name, **arguments).state_dict())
    state = layout.used(read.state)
    if different := differences(expected | layout.fixed, state):
        raise WeightsError(different)
    for key, tensor in layout.fixed.items():
        if not torch.allclose(state[key].to(tensor), tensor, rtol=2e-4, atol=1e-6):
            raise WeightsError(f"{key} expected {_numbers(tensor)}, found {_numbers(state[key])}")
    return layout, arguments


def differences(expected: State, found: State) -> str:
    """List tensors that are missing, unknown or of another shape; empty if there are none."""
    lists = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": [
            f"{key} expected {_kind(expected[key])}, found {_kind(found[key])}"
            for key in sorted(expected.keys() & found.keys())
            if _kind(expected[key]) != _kind(found[key])
        ],
    }
    return "; ".join(f"{what}: {_listed(entries)}" for what, entries in lists.items() if entries)


def _listed(entries: list[str]) -> str:
    """Join the first entries and count the others."""
    rest = len(entries) - NAMED
    return ", ".join(entries[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _kind(tensor: Tensor) -> str:
    """Describe shape and, unless it is a float type, the type of a tensor."""
    return f"{tuple(tensor.shape)}" + ("" if tensor.is_floating_point() else f" of {tensor.dtype}")


def _numbers(tensor: Tensor) -> list[float]:
    """Return rounded numbers for a message."""
    return [round(number, 4) for number in tensor.flatten().tolist()]


def filled(model: SuperResolver, layout: Layout, state: State) -> SuperResolver:
    """Copy the numbers of official tensors that `fit` the model into it.

    `Layout.official` only moves numbers. Applied to the indices 0, 1, 2, ... instead of weights, it gives the
    place of each official number in the model.
    """
    ours = model.state_dict()
    lengths = [tensor.numel() for tensor in ours.values()]
    # Our state with 0, 1, 2, ... for numbers, one range per tensor.
    counted = shaped(torch.arange(sum(lengths)), ours)
    numbers = torch.full((sum(lengths),), torch.nan)  # NaN would show an index that is not covered
    for key, places in layout.official(counted).items():
        numbers[places] = state[key].to(numbers.dtype)
    model.load_state_dict(layout.rescaled(shaped(numbers, ours)))
    return model.eval()


def shaped(numbers: Tensor, like: State) -> State:
    """Split a vector of numbers into tensors with the names and shapes of ``like``."""
    parts = numbers.split([tensor.numel() for tensor in like.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}
