"""Which weights make which row: ``LABEL=WEIGHTS``, with a seed ``LABEL#SEED=WEIGHTS``, or only the weights.

Weights of one label are one row. Several without a seed are one method's fixed-scale models, each used at its
own scale; those of several seeds are the same method trained again, and their mean is taken image by image.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch

from histoscale import weights
from histoscale.errors import ConfigError, ScaleError
from histoscale.experiments.results import read_rows
from histoscale.experiments.scores import BICUBIC
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver

DIGEST_DIGITS = 12
"""Digits of a sha256 that tell weights apart in a table of scores."""


class WeightsFile(NamedTuple):
    """Weights: a shipped name or path, the head of their sha256, and the one scale they make, if only one."""

    source: str
    digest: str
    scale: int | None = None


class Entry(NamedTuple):
    """The weights that stand for a model at one scale; ``through`` as in `Score`."""

    model: str
    file: WeightsFile
    through: int = 0


@dataclass(frozen=True)
class Member:
    """A model by its name in the scores: one file for any scale, or one for each scale it was trained for."""

    name: str
    files: tuple[WeightsFile, ...]

    def entry(self, scale: float, allow_resize: bool = False) -> Entry:
        """The weights for a scale; where none make it, the next larger ones if those may be resized.

        Weights that make no such scale and may not be resized raise `ScaleError` when they are used.
        """
        for file in self.files:
            if file.scale is None or file.scale == scale:
                return Entry(self.name, file)
        by_scale = sorted(self.files, key=lambda file: file.scale or 0)
        nearest = next((file for file in by_scale if (file.scale or 0) > scale), by_scale[-1])
        return Entry(self.name, nearest, (nearest.scale or 0) if allow_resize else 0)


def look_at(source: str, device: str = "cpu") -> WeightsFile:
    """What weights are, having made sure that they can be loaded.

    Raises:
        WeightsError: if they are missing or damaged.
    """
    described = weights.card(source)
    return WeightsFile(source, described.sha256[:DIGEST_DIGITS], weights.load(source, device).scale)


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


# The settings of a downstream task: originals, made small, and made large again by bicubic and by models.


ORIGINAL, LOW = "original", "low resolution"
"""Those that are always there, beside bicubic; the others are models."""


class Setting(NamedTuple):
    """A setting; of a model the first digits of its weights' sha256, and what these learnt from."""

    name: str
    digest: str = ""
    learnt_from: str = ""


def describe(sources: Mapping[str, str]) -> list[Setting]:
    """All settings; ``sources`` are the models' weights by name.

    Raises:
        WeightsError: if weights or their card are missing.
    """
    return [Setting(ORIGINAL), Setting(LOW), Setting(BICUBIC), *(_model(*one) for one in sources.items())]


def load_models(
    sources: Mapping[str, str], lr_size: tuple[int, int], size: tuple[int, int], device: torch.device
) -> dict[str, SuperResolver]:
    """The models by name, each of which can enlarge ``lr_size`` (height, width) to ``size``.

    Raises:
        WeightsError: if weights are missing or damaged.
        ConfigError: if a model cannot make that size.
    """
    models = {name: weights.load(source, device) for name, source in sources.items()}
    for name, model in models.items():
        try:
            upscale(model, torch.zeros(1, 3, *lr_size), size, device=device)
        except ScaleError as error:
            raise ConfigError(f"Model {name} cannot take part: {error}") from None
    return models


def read_settings(path: Path) -> list[Setting]:
    """The settings that a run wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Setting, "the settings of a downstream task")


def _model(name: str, source: str) -> Setting:
    card = weights.card(source)
    sets = [f"{one.set} {one.split}".rstrip() + f" ({one.images or 'some'} images)" for one in card.data]
    return Setting(name, card.sha256[:DIGEST_DIGITS], ", ".join(sets) or "not stated")
