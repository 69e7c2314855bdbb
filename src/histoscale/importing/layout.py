"""Describe the names and the layout of the tensors of official models."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mode
from typing import Any, TypeAlias

from histoscale.importing.checkpoint import State

Names: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a regular expression for our name of a layer or tensor, and its replacement, the official name."""


@dataclass(frozen=True)
class Layout:
    """The checkpoints of one official model.

    Attributes:
        arguments: finds the arguments of our model from the shapes of official tensors, except those that no
            tensor shows.
        names: layers that differ only in their names.
        unused: regular expressions for tensors that the official forward pass does not use.
        laid_out: removes from our tensors those that have another layout in the official model, and returns
            them with their official names. It only moves numbers and does not change them.
        fixed: official tensors that are constants and must have these values.
        rescaled: converts our tensors from the authors' range of colours to that of our models.
    """

    arguments: Callable[[State], dict[str, Any]]
    names: Names
    unused: tuple[str, ...] = ()
    laid_out: Callable[[State], State] = lambda ours: {}  # noqa: ARG005
    fixed: State = field(default_factory=dict)
    rescaled: Callable[[State], State] = lambda ours: ours

    def official(self, ours: State) -> State:
        """Convert tensors of our model to the names and layout of its authors."""
        rest = dict(ours)
        return self.laid_out(rest) | {renamed(name, self.names): tensor for name, tensor in rest.items()}

    def used(self, state: State) -> State:
        """Remove the official tensors that the official forward pass does not use."""
        unused = re.compile("|".join(self.unused) or "(?!)")
        return {key: tensor for key, tensor in state.items() if not unused.fullmatch(key)}


def renamed(name: str, names: Names) -> str:
    """Return the official name of one of our tensors.

    Raises:
        LookupError: if no pattern matches it.
    """
    for ours, theirs in names:
        if found := re.fullmatch(rf"{ours}(?P<kind>\.weight|\.bias)?", name):
            return found.expand(theirs) + (found["kind"] or "")
    raise LookupError(f"The layout has no official name for {name}.")


def within(ours: str, names: Names, theirs: str = "") -> Names:
    """Add prefixes to our names and to the official names, for layers inside a larger model."""
    return tuple((f"{re.escape(ours)}{a}", f"{theirs}{b}") for a, b in names)


def sizes(state: State, **patterns: str) -> dict[str, int]:
    """Find the `usual_side` of the tensors that match the pattern of each argument, if there are any."""
    found = {argument: usual_side(state, pattern) for argument, pattern in patterns.items()}
    return {argument: side for argument, side in found.items() if side}


def usual_side(state: State, pattern: str) -> int:
    """Return the most frequent length of the first axis of matching tensors; 0 if there are none.

    With the most frequent one, a single damaged tensor is reported alone.
    """
    sides = first_sides(state, pattern)
    return mode(sides) if sides else 0


def first_sides(state: State, pattern: str) -> list[int]:
    """Return the length of the first axis of each matching tensor that is not empty."""
    return [t.shape[0] for name, t in state.items() if t.ndim and t.numel() and re.fullmatch(pattern, name)]


def highest(state: State, pattern: str) -> int:
    """Return the highest number in matching names; -1 if there is none.

    Numbers above the number of tensors are ignored, so that a damaged name does not build a huge model.
    """
    numbers = (int(found[1]) for name in state if (found := re.fullmatch(pattern, name)))
    return max((number for number in numbers if number < len(state)), default=-1)
