"""How the layers of an official model are called here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from histoscale.workflows.import_weights.checkpoint import State

Names: TypeAlias = tuple[tuple[str, str], ...]
"""Official names and ours, by pairs: a regular expression for a layer (or a tensor), a replacement."""


@dataclass(frozen=True)
class Layout:
    """What there is to know about the checkpoints of one model.

    Attributes:
        arguments: of our model, from the shapes of official tensors.
        names: of layers that are the same here and there.
        unused: regular expressions for tensors that the official forward pass does not use.
        rearranged: takes the tensors that are laid out otherwise here out of the official ones, and
            returns them by our names.
    """

    arguments: Callable[[State], dict[str, Any]]
    names: Names
    unused: tuple[str, ...] = ()
    rearranged: Callable[[State], State] = lambda state: {}  # noqa: ARG005


def renamed(name: str, names: Names) -> str | None:
    """Our name of an official tensor; None if no pattern knows its layer."""
    for theirs, ours in names:
        if found := re.fullmatch(rf"{theirs}(?P<kind>\.weight|\.bias)?", name):
            return found.expand(ours) + (found["kind"] or "")
    return None


def within(prefix: str, names: Names, ours: str | None = None) -> Names:
    """The same layers inside of a larger model, where they have a prefix."""
    return tuple((f"{re.escape(prefix)}{a}", f"{prefix if ours is None else ours}{b}") for a, b in names)


def layers_of(state: State, pattern: str) -> int:
    """How many tensors' names match."""
    return sum(bool(re.fullmatch(pattern, name)) for name in state)
