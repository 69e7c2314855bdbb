"""The rows of a table and their weights: ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS``, or only the weights.

Weights with the same label are one row. Without a seed they are fixed-scale models of one method, each used
at its own scale. With seeds they are trainings of the same method, and each image has their mean.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch

from histoscale import weights
from histoscale.errors import ConfigError
from histoscale.models.base import SuperResolver

BICUBIC = "bicubic"
"""Name of the row that every table has beside the methods."""
DIGEST_DIGITS = 12
"""Digits of a sha256 that identify weights in a table of scores."""
LABEL = r"[\w.+*-]+"
NAMED = re.compile(rf"(?P<name>{LABEL}(?:#[\w.-]+)?)=(?P<source>.+)", re.DOTALL)


class WeightsFile(NamedTuple):
    """One file of weights.

    Attributes:
        source: a shipped name or a path.
        digest: the first digits of its sha256.
        scale: the only scale that the model makes; None if it makes any scale.
    """

    source: str
    digest: str
    scale: int | None = None

    def load(self, device: torch.device | str = "cpu") -> SuperResolver:
        """Load the model, once in a process.

        Raises:
            WeightsError: if the weights are missing or damaged.
        """
        return _load(self.source, self.digest, str(device))


class MethodAtScale(NamedTuple):
    """The weights of a method that are used at one scale.

    Attributes:
        through: the scale that a fixed-scale model makes before bicubic resizes the image; 0 if the model
            makes the final size itself.
    """

    name: str
    file: WeightsFile
    through: int = 0


@dataclass(frozen=True)
class Method:
    """A method, from one seed: one file for any scale, or one file for each scale it was trained for.

    Attributes:
        name: in the scores, ``LABEL`` or ``LABEL#SEED``.
    """

    name: str
    files: tuple[WeightsFile, ...]

    @property
    def label(self) -> str:
        """The row that the method belongs to."""
        return label_of(self.name)

    def at(self, scale: float, allow_resize: bool = False) -> MethodAtScale:
        """Choose the weights for a scale; if none make it, those of the next larger scale.

        Args:
            allow_resize: let bicubic resize the image of these. Otherwise the weights raise `ScaleError` when
                they are used.
        """
        for file in self.files:
            if file.scale is None or file.scale == scale:
                return MethodAtScale(self.name, file)
        by_scale = sorted(self.files, key=lambda file: file.scale or 0)
        nearest = next((file for file in by_scale if (file.scale or 0) > scale), by_scale[-1])
        return MethodAtScale(self.name, nearest, (nearest.scale or 0) if allow_resize else 0)


def label_of(name: str) -> str:
    """The row that a method of this name belongs to: the part before ``#SEED``."""
    return name.partition("#")[0]


def parse(text: str) -> tuple[str, str]:
    """Split ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS`` or ``WEIGHTS`` into name and weights."""
    named = NAMED.fullmatch(text)
    if named:
        return named["name"], named["source"]
    return (Path(text).stem if text.endswith(".safetensors") else text), text


def read_weights(source: str | Path, device: torch.device | str = "cpu") -> WeightsFile:
    """Load a file of weights once, and describe it.

    Raises:
        WeightsError: if it is missing or damaged.
    """
    digest = weights.card(source).sha256[:DIGEST_DIGITS]
    return WeightsFile(str(source), digest, _load(str(source), digest, str(device)).scale)


def read_methods(texts: Sequence[str | Path], device: torch.device | str = "cpu") -> tuple[Method, ...]:
    """Load the methods of a comparison, without bicubic.

    Args:
        texts: see `parse`.

    Raises:
        ConfigError: if two weights of one name make the same scale, a row has the same weights twice or
            models with and without a seed, or a method has the label of bicubic.
        WeightsError: if weights are missing or damaged.
    """
    files: dict[str, list[WeightsFile]] = {}
    for name, source in map(parse, map(str, texts)):
        if label_of(name) == BICUBIC:
            if source == BICUBIC:
                continue
            raise ConfigError(f"Bicubic is in every comparison: give {source} a label other than {BICUBIC}.")
        files.setdefault(name, []).append(read_weights(source, device))
    methods = tuple(Method(name, tuple(found)) for name, found in files.items())
    _check_scales(methods)
    check_seeds([method.name for method in methods])
    _check_weights_differ(methods)
    return methods


def check_seeds(names: Sequence[str]) -> None:
    """Make sure that either all methods of a row have a seed, or there is only one.

    Raises:
        ConfigError: naming the row, if not.
    """
    for name in names:
        label = label_of(name)
        if label != name and label in names:
            raise ConfigError(
                f"Row {label} has models with and without a seed, {name} and {label}: give each a seed."
            )


def _check_scales(methods: Sequence[Method]) -> None:
    """Refuse two files of one name that make the same scale."""
    for method in methods:
        for first, second in combinations(method.files, 2):
            if first.scale == second.scale or None in (first.scale, second.scale):
                scale = first.scale or second.scale
                raise ConfigError(
                    f"{first.source} and {second.source} of row {method.name} both make "
                    f"{f'x{scale}' if scale else 'every scale'}: give one of them another label or a seed, "
                    f"such as {method.label}#2={second.source}."
                )


def _check_weights_differ(methods: Sequence[Method]) -> None:
    """Refuse the same weights twice in one row."""
    seen: dict[tuple[str, str], str] = {}
    for method in methods:
        for file in method.files:
            key = method.label, file.digest
            if key in seen:
                raise ConfigError(
                    f"Row {key[0]} has the same weights twice, {seen[key]} and {file.source}: leave one out."
                )
            seen[key] = file.source


@lru_cache(maxsize=64)
def _load(source: str, digest: str, device: str) -> SuperResolver:  # noqa: ARG001
    """Load the model; the digest distinguishes files that were replaced under the same name."""
    return weights.load(source, device)
