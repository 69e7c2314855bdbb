"""The state of a run on disk: one file, written atomically, read without unpickling code."""

import io
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from histoscale.errors import WeightsError
from histoscale.files import atomic_write, remove_leftovers


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values so that an interrupted write leaves the old file.

    Whoever writes a state is alone in its folder: what a killed writer left there goes.

    Raises:
        OutputError: if the disk is full or the folder cannot be written.
    """
    content = io.BytesIO()  # torch.save tells of a full disk in no way that can be understood
    torch.save(state, content)
    remove_leftovers(path)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        WeightsError: if the file is missing or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(f"Wanted the state of a run to resume, but {path} cannot be read.") from error
    return state


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the model's; buffers are copied."""
    ours = [p.detach() for p in average.parameters()]
    theirs = [p.detach() for p in model.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - decay)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


def take_over(model: nn.Module, weights: dict[str, torch.Tensor]) -> list[str]:
    """Copy every tensor whose name and shape the model knows; the names taken.

    Raises:
        WeightsError: if nothing fits.
    """
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise WeightsError("Wanted weights to start from, but none of their tensors fits this model.")
    model.load_state_dict({**own, **fitting})
    return sorted(fitting)


# What Ctrl-C and a polite kill (SIGTERM) do to a training, and to a program that has trainings run.


@contextmanager
def stopping_politely(ask: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls ``ask``, to end after the present step; a second one ends at once."""

    def stop(number: int, _: object) -> None:
        ask()
        signal.signal(number, before[number])

    before: dict[int, Any] = {int(n): signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """A SIGTERM ends what runs inside as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
