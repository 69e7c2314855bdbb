"""How the layers of an official model are called and laid out, beside ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mode
from typing import Any, TypeAlias

from histoscale.importing.checkpoint import State

Names: TypeAlias = tuple[tuple[str, str], ...]
"""Our names and the official ones, by pairs: a regular expression for a layer or a tensor, a replacement."""


@dataclass(frozen=True)
class Layout:
    """What there is to know about the checkpoints of one model.

    Attributes:
        arguments: of our model, from the shapes of official tensors; those that no tensor shows are left out.
        names: of layers that are the same here and there.
        unused: regular expressions for tensors that the official forward pass does not use.
        laid_out: takes the tensors that are laid out otherwise there out of ours, and returns them by their
            official names. It moves numbers and changes none, so it also tells the way back.
        fixed: official tensors that are no weights, and have to be these.
        rescaled: our tensors for the range of our models, from those for the authors' range.
    """

    arguments: Callable[[State], dict[str, Any]]
    names: Names
    unused: tuple[str, ...] = ()
    laid_out: Callable[[State], State] = lambda ours: {}  # noqa: ARG005
    fixed: State = field(default_factory=dict)
    rescaled: Callable[[State], State] = lambda ours: ours

    def official(self, ours: State) -> State:
        """Tensors of our model as its authors call them and lay them out."""
        rest = dict(ours)
        return self.laid_out(rest) | {renamed(name, self.names): tensor for name, tensor in rest.items()}

    def used(self, state: State) -> State:
        """The official tensors without those that the official forward pass does not use."""
        unused = re.compile("|".join(self.unused) or "(?!)")
        return {key: tensor for key, tensor in state.items() if not unused.fullmatch(key)}


def renamed(name: str, names: Names) -> str:
    """The official name of a tensor of ours.

    Raises:
        LookupError: if no pattern knows its layer.
    """
    for ours, theirs in names:
        if found := re.fullmatch(rf"{ours}(?P<kind>\.weight|\.bias)?", name):
            return found.expand(theirs) + (found["kind"] or "")
    raise LookupError(f"No official name is written down for {name}.")


def within(ours: str, names: Names, theirs: str = "") -> Names:
    """The same layers inside of a larger model, where they have a prefix."""
    return tuple((f"{re.escape(ours)}{a}", f"{theirs}{b}") for a, b in names)


def sizes(state: State, **patterns: str) -> dict[str, int]:
    """For each argument the `usual_side` of the tensors with such names; none where there are none."""
    found = {argument: usual_side(state, pattern) for argument, pattern in patterns.items()}
    return {argument: side for argument, side in found.items() if side}


def usual_side(state: State, pattern: str) -> int:
    """How long most tensors with such names are along the first axis; 0 if there are none.

    Most, so that one damaged tensor does not make all the others look wrong.
    """
    sides = first_sides(state, pattern)
    return mode(sides) if sides else 0


def first_sides(state: State, pattern: str) -> list[int]:
    """How long each tensor with such a name is along the first axis; empty ones have none."""
    return [t.shape[0] for name, t in state.items() if t.ndim and t.numel() and re.fullmatch(pattern, name)]


def highest(state: State, pattern: str) -> int:
    """The highest number in such names; -1 if there is none.

    Numbers beyond the number of tensors count nothing: a damaged name builds no model of a million layers.
    """
    numbers = (int(found[1]) for name in state if (found := re.fullmatch(pattern, name)))
    return max((number for number in numbers if number < len(state)), default=-1)
