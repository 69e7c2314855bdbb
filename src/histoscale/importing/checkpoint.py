"""Read a PyTorch checkpoint without running what it may contain."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from histoscale.errors import WeightsError

State: TypeAlias = dict[str, Tensor]
"""Tensors by name, ours or theirs."""

HOLDERS = ("params_ema", "params", "state_dict")
"""Where SwinIR's and other repositories keep the tensors of a checkpoint; the first that is there counts."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file of the official repositories holds.

    Attributes:
        path, sha256: the file.
        state: its tensors.
        centred: the file is of LIIF's family, whose networks see (x - 0.5) / 0.5.
    """

    path: Path
    sha256: str
    state: State
    centred: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a .pth file: plain, under ``params``, or under ``model`` as LIIF's family saves them.

    Raises:
        WeightsError: if the file cannot be read, holds other objects than tensors, or no tensors by name.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Wanted a checkpoint, but {path} cannot be read ({error.strerror}).") from None
    held, centred = _unwrapped(_loaded(content, path))
    if found := _foreign(held):
        raise WeightsError(
            f"Wanted tensors by name in {path}, as the official repositories save them, got {found}."
        )
    state = {name: tensor.detach() for name, tensor in held.items()}
    return Checkpoint(path, hashlib.sha256(content).hexdigest(), state, centred)


def _foreign(held: Any) -> str:
    """What there is instead of plain tensors by names that fit a sentence; empty if nothing."""
    if not isinstance(held, Mapping):
        return f"an object of type {type(held).__name__}"
    for name, tensor in held.items():
        if not (isinstance(name, str) and name.isprintable()):
            return f"{name!r:.80} for a name"
        if not isinstance(tensor, Tensor):
            return f"an object of type {type(tensor).__name__} under {name!r:.80}"
        if tensor.layout is not torch.strided or tensor.is_meta:
            return f"a tensor that is not stored whole under {name!r:.80}"
    return "" if held else "none"


def _loaded(content: bytes, path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # remarks on pickle protocols
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint fail in many ways
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            reason = "holds other objects than tensors, which could run code"
        else:
            reason = "is not a PyTorch checkpoint, or is damaged"
        raise WeightsError(f"{path} {reason}: it is not read.") from None


def _unwrapped(held: Any) -> tuple[Any, bool]:
    """What should be a dictionary of tensors, and whether it lay where LIIF's family puts it."""
    if not isinstance(held, Mapping):
        return held, False
    if isinstance(held.get("model"), Mapping) and isinstance(held["model"].get("sd"), Mapping):
        return held["model"]["sd"], True
    for holder in HOLDERS:
        if isinstance(held.get(holder), Mapping):
            return held[holder], False
    return held, False
