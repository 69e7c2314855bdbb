"""Which weights make which row: ``LABEL=WEIGHTS``, with a seed ``LABEL#SEED=WEIGHTS``, or only the weights.

Weights of one label are one row. Several without a seed are one method's fixed-scale models, each used at its
own scale; those of several seeds are the same method trained again, and their mean is taken image by image.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import ConfigError
from histoscale.workflows.scores import BICUBIC
from histoscale.workflows.scoring import Member, WeightsFile, look_at

NAMED = re.compile(r"(?P<name>[\w.+*-]+(?:#[\w.-]+)?)=(?P<source>.+)", re.DOTALL)


class Wanted(NamedTuple):
    """What a person asked for: the name in the scores, ``label`` or ``label#seed``, and its weights."""

    name: str
    source: str


def label_of(name: str) -> str:
    """The row that a model of this name belongs to."""
    return name.partition("#")[0]


def parse(word: str) -> Wanted:
    """``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS``, or weights that are called by their own name."""
    named = NAMED.fullmatch(word)
    if named:
        return Wanted(named["name"], named["source"])
    return Wanted(Path(word).stem if word.endswith(".safetensors") else word, word)


def line_up(words: Sequence[str], device: str = "cpu") -> tuple[Member, ...]:
    """The models of a comparison beside bicubic, all of which can be loaded.

    Raises:
        ConfigError: if two weights of one name make the same scale, seeds are missing or repeated weights, or
            a model has the name of bicubic.
        WeightsError: if weights are missing or damaged.
    """
    files: dict[str, list[WeightsFile]] = {}
    for wanted in map(parse, words):
        if label_of(wanted.name) == BICUBIC:
            if wanted.source == BICUBIC:
                continue
            raise ConfigError(f"Bicubic is in every comparison: wanted another label for {wanted.source}.")
        files.setdefault(wanted.name, []).append(look_at(wanted.source, device))
    members = tuple(Member(name, tuple(found)) for name, found in files.items())
    _check_scales(members)
    check_seeds([member.name for member in members])
    _check_weights_differ(members)
    return members


def check_seeds(names: Sequence[str]) -> None:
    """Make sure that the models of one row have a seed each, or that there is only one.

    Raises:
        ConfigError: naming the row.
    """
    for name in names:
        if label_of(name) != name and label_of(name) in names:
            raise ConfigError(
                f"Wanted a seed for every model of row {label_of(name)} or for none, got {name} and "
                f"{label_of(name)}."
            )


def _check_scales(members: Sequence[Member]) -> None:
    """Make sure that every scale has one file of a name."""
    for member in members:
        for first, second in combinations(member.files, 2):
            if first.scale == second.scale or None in (first.scale, second.scale):
                scale = first.scale or second.scale
                raise ConfigError(
                    f"{first.source} and {second.source} of row {member.name} both make "
                    f"{f'x{scale}' if scale else 'every scale'}: wanted a label or seed of its own, "
                    f"such as {label_of(member.name)}#2={second.source}."
                )


def _check_weights_differ(members: Sequence[Member]) -> None:
    """Make sure that no weights count twice in one row."""
    seen: dict[tuple[str, str], str] = {}
    for member in members:
        for file in member.files:
            key = label_of(member.name), file.digest
            if key in seen:
                raise ConfigError(f"Row {key[0]} has the same weights twice: {seen[key]} and {file.source}.")
            seen[key] = file.source
