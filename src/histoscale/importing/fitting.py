"""Whether a checkpoint is one of a model, and what is not as in one; its numbers in a model of ours."""

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
"""Models of ours that official checkpoints can become."""

NAMED = 10
"""How many tensors a sentence names before it counts the rest."""


def fit(read: Checkpoint, name: str) -> tuple[Layout, dict[str, Any]]:
    """How the tensors of a checkpoint are laid out, and the arguments of our model for them.

    Args:
        name: one of `KNOWN`.

    Raises:
        WeightsError: if names or shapes are not as the authors of ``name`` save them: which, by their names.
        ConfigError: if they are those of a model that cannot be built.
    """
    if name in ANY_SCALE:
        layout = on_encoder(ANY_SCALE[name], read.state)
    else:
        layout = (OF_LIIF if read.centred else PLAIN)[name]
    arguments = layout.arguments(read.state)
    with torch.device("meta"):  # shapes only, whatever size the file pretends
        wanted = layout.official(build(name, **arguments).state_dict())
    state = layout.used(read.state)
    if different := differences(wanted | layout.fixed, state):
        raise WeightsError(different)
    for key, tensor in layout.fixed.items():
        if not torch.allclose(state[key].to(tensor), tensor, rtol=2e-4, atol=1e-6):
            raise WeightsError(f"{key} has to be {_numbers(tensor)}, got {_numbers(state[key])}")
    return layout, arguments


def differences(wanted: State, got: State) -> str:
    """What is missing, unknown or of another shape, in one phrase; empty if nothing is."""
    lists = {
        "missing": sorted(wanted.keys() - got.keys()),
        "unknown": sorted(got.keys() - wanted.keys()),
        "of another shape": [
            f"{key} wanted {_kind(wanted[key])}, got {_kind(got[key])}"
            for key in sorted(wanted.keys() & got.keys())
            if _kind(wanted[key]) != _kind(got[key])
        ],
    }
    return "; ".join(f"{what}: {_listed(entries)}" for what, entries in lists.items() if entries)


def _listed(entries: list[str]) -> str:
    rest = len(entries) - NAMED
    return ", ".join(entries[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _kind(tensor: Tensor) -> str:
    """Its shape, and the kind of its numbers if they have no fraction or are complex."""
    return f"{tuple(tensor.shape)}" + ("" if tensor.is_floating_point() else f" of {tensor.dtype}")


def _numbers(tensor: Tensor) -> list[float]:
    return [round(number, 4) for number in tensor.flatten().tolist()]


def filled(model: SuperResolver, layout: Layout, state: State) -> SuperResolver:
    """The model with the numbers of official tensors that `fit` it.

    Our numbers, counted through and laid out as the official ones, say where each of those goes.
    """
    ours = model.state_dict()
    lengths = [tensor.numel() for tensor in ours.values()]
    counted = shaped(torch.arange(sum(lengths)), ours)
    numbers = torch.full((sum(lengths),), torch.nan)  # which no weights may have
    for key, places in layout.official(counted).items():
        numbers[places] = state[key].to(numbers.dtype)
    model.load_state_dict(layout.rescaled(shaped(numbers, ours)))
    return model.eval()


def shaped(numbers: Tensor, like: State) -> State:
    """A row of numbers cut into tensors of the names and shapes of others."""
    parts = numbers.split([tensor.numel() for tensor in like.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}
