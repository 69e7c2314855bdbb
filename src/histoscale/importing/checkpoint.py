"""Read a PyTorch checkpoint without running code that it may contain."""

import hashlib
import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from histoscale.errors import WeightsError
from histoscale.resources import format_bytes

State: TypeAlias = dict[str, Tensor]
"""Tensors by name, of a model of this package or of an official one."""

LARGEST_RATIO = 2
"""Of the unpacked size to the size of a checkpoint."""
DAMAGED = "is not a PyTorch checkpoint, or is damaged"
HOLDERS = ("params_ema", "params", "state_dict")
"""Keys of the tensors in checkpoints of SwinIR's and other repositories; the first that exists is used."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file of an official repository.

    Attributes:
        path, sha256: the file and its digest.
        state: its tensors.
        centred: whether the file belongs to LIIF's family, whose networks get (x - 0.5) / 0.5.
    """

    path: Path
    sha256: str
    state: State
    centred: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors of a .pth file.

    They are at the top level, under one of `HOLDERS`, or under ``model`` as in LIIF's family.

    Raises:
        WeightsError: if the file cannot be read, contains other objects than tensors, or has no tensors.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The checkpoint {path} cannot be read: {error.strerror}.") from None
    held, centred = _unwrapped(_loaded(content, path))
    if found := _foreign(held):
        raise WeightsError(
            f"{path} is not a checkpoint of an official repository: expected named tensors, found {found}."
        )
    state = {name: tensor.detach() for name, tensor in held.items()}
    return Checkpoint(path, hashlib.sha256(content).hexdigest(), state, centred)


def _foreign(held: Any) -> str:
    """Describe the first object that is not a plain tensor with a printable name; empty if there is none."""
    if not isinstance(held, Mapping):
        return f"an object of type {type(held).__name__}"
    for name, tensor in held.items():
        if not (isinstance(name, str) and name.isprintable()):
            return f"the name {name!r:.80}"
        if not isinstance(tensor, Tensor):
            return f"an object of type {type(tensor).__name__} under {name!r:.80}"
        if tensor.layout is not torch.strided or tensor.is_meta:
            return f"a tensor that is sparse or has no data under {name!r:.80}"
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return f"a tensor that repeats its data under {name!r:.80}"  # a copy could be of any size
    return "" if held else "none"


def _loaded(content: bytes, path: Path) -> Any:
    """Unpickle tensors only; turn every error into a `WeightsError`."""
    _refuse_compressed(content, path)
    try:
        with warnings.catch_warnings(action="ignore"):  # warnings about pickle protocols
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # other files raise many kinds of errors
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            reason = "contains other objects than tensors, which could run code"
        else:
            reason = DAMAGED
        raise WeightsError(f"{path} {reason}: give another file.") from None


def _refuse_compressed(content: bytes, path: Path) -> None:
    """Raise `WeightsError` if the content unpacks to much more than its size, which PyTorch never writes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception as error:  # damaged directories raise many kinds of errors
        if content.startswith(b"PK"):
            raise WeightsError(f"{path} {DAMAGED}: give another file.") from error
        return  # the format of PyTorch before 1.6, which has no compression
    if unpacked > LARGEST_RATIO * len(content):
        raise WeightsError(
            f"{path} is compressed, and unpacks from {format_bytes(len(content))} to "
            f"{format_bytes(unpacked)}: save it by torch.save."
        )


def _unwrapped(held: Any) -> tuple[Any, bool]:
    """Return the part that should be a dictionary of tensors, and whether the file is of LIIF's family."""
    if not isinstance(held, Mapping):
        return held, False
    if isinstance(held.get("model"), Mapping) and isinstance(held["model"].get("sd"), Mapping):
        return held["model"]["sd"], True
    for holder in HOLDERS:
        if isinstance(held.get(holder), Mapping):
            return held[holder], False
    return held, False
