"""The state of a training on disk: one file, written atomically, read without unpickling code."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from histoscale.errors import WeightsError
from histoscale.files import atomic_write, remove_leftovers


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values so that an interrupted write leaves the old file.

    Only for who holds the lock of the folder: what a killed run left there is removed.

    Raises:
        OutputError: if the disk is full or the folder cannot be written.
    """
    content = io.BytesIO()  # torch.save hides the reason where a disk is full
    torch.save(dict(state), content)
    remove_leftovers(path)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        WeightsError: if the file is missing or damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"The state {path} cannot be read: it is missing or damaged. Start again in another folder."
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not the state of a training: start again in another folder.")
    return state


def find_not_finite(state: Any, place: str = "the state") -> str | None:
    """The name of the first tensor that holds NaN or an infinite value; None if all are finite."""
    if isinstance(state, torch.Tensor):
        return None if not state.is_floating_point() or bool(torch.isfinite(state).all()) else place
    if isinstance(state, Mapping):
        found = (find_not_finite(value, str(name)) for name, value in state.items())
        return next((name for name in found if name), None)
    return None


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the model's; buffers are copied."""
    ours = [p.detach() for p in average.parameters()]
    theirs = [p.detach() for p in model.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - decay)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


def copy_fitting(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy every tensor whose name and shape the model has, and return their names.

    Raises:
        WeightsError: if there is none.
    """
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise WeightsError("model.start_from: none of the tensors of these weights fits this model.")
    model.load_state_dict({**own, **fitting})
    return sorted(fitting)
