"""Which weights make which row of a table: ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS``, or only the weights.

Weights of one label are one row. Several without a seed are one method's fixed-scale models, each used at its
own scale; those of several seeds are the same method trained again, and their mean is taken image by image.
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
"""Name of the row that every table holds beside the methods."""
DIGEST_DIGITS = 12
"""Digits of a sha256 that tell weights apart in a table of scores."""
LABEL = r"[\w.+*-]+"
NAMED = re.compile(rf"(?P<name>{LABEL}(?:#[\w.-]+)?)=(?P<source>.+)", re.DOTALL)


class WeightsFile(NamedTuple):
    """One file of weights.

    Attributes:
        source: a shipped name or a path.
        digest: the first digits of its sha256.
        scale: the one scale that it makes; None where it makes any.
    """

    source: str
    digest: str
    scale: int | None = None

    def load(self, device: torch.device | str = "cpu") -> SuperResolver:
        """The model, loaded once in a process.

        Raises:
            WeightsError: if the weights are missing or damaged.
        """
        return _load(self.source, self.digest, str(device))


class MethodAtScale(NamedTuple):
    """The weights that stand for a method at one scale.

    Attributes:
        through: the scale that a fixed-scale model makes before bicubic takes that to size; 0 where the model
            makes the size itself.
    """

    name: str
    file: WeightsFile
    through: int = 0


@dataclass(frozen=True)
class Method:
    """A method, of one seed: one file for any scale, or one for each scale it was trained for.

    Attributes:
        name: in the scores: ``LABEL`` or ``LABEL#SEED``.
    """

    name: str
    files: tuple[WeightsFile, ...]

    @property
    def label(self) -> str:
        """The row that the method belongs to."""
        return label_of(self.name)

    def at(self, scale: float, allow_resize: bool = False) -> MethodAtScale:
        """The weights for a scale; where none make it, the next larger ones if those may be resized.

        Weights that make no such scale and may not be resized raise `ScaleError` when they are used.
        """
        for file in self.files:
            if file.scale is None or file.scale == scale:
                return MethodAtScale(self.name, file)
        by_scale = sorted(self.files, key=lambda file: file.scale or 0)
        nearest = next((file for file in by_scale if (file.scale or 0) > scale), by_scale[-1])
        return MethodAtScale(self.name, nearest, (nearest.scale or 0) if allow_resize else 0)


def label_of(name: str) -> str:
    """The row that a method of this name belongs to: what stands before ``#SEED``."""
    return name.partition("#")[0]


def parse(text: str) -> tuple[str, str]:
    """The name in the scores and the weights of ``LABEL=WEIGHTS``, ``LABEL#SEED=WEIGHTS`` or ``WEIGHTS``."""
    named = NAMED.fullmatch(text)
    if named:
        return named["name"], named["source"]
    return (Path(text).stem if text.endswith(".safetensors") else text), text


def read_weights(source: str | Path, device: torch.device | str = "cpu") -> WeightsFile:
    """What a file of weights is, after it was loaded once.

    Raises:
        WeightsError: if it is missing or damaged.
    """
    digest = weights.card(source).sha256[:DIGEST_DIGITS]
    return WeightsFile(str(source), digest, _load(str(source), digest, str(device)).scale)


def read_methods(texts: Sequence[str | Path], device: torch.device | str = "cpu") -> tuple[Method, ...]:
    """The methods of a comparison beside bicubic, all of which can be loaded.

    Args:
        texts: see `parse`.

    Raises:
        ConfigError: if two weights of one name make the same scale, seeds are missing or repeated weights, or
            a method has the name of bicubic.
        WeightsError: if weights are missing or damaged.
    """
    files: dict[str, list[WeightsFile]] = {}
    for name, source in map(parse, map(str, texts)):
        if label_of(name) == BICUBIC:
            if source == BICUBIC:
                continue
            raise ConfigError(f"Bicubic is in every comparison: give {source} another label than {BICUBIC}.")
        files.setdefault(name, []).append(read_weights(source, device))
    methods = tuple(Method(name, tuple(found)) for name, found in files.items())
    _check_scales(methods)
    check_seeds([method.name for method in methods])
    _check_weights_differ(methods)
    return methods


def check_seeds(names: Sequence[str]) -> None:
    """Make sure that the methods of one row have a seed each, or that there is only one.

    Raises:
        ConfigError: naming the row.
    """
    for name in names:
        label = label_of(name)
        if label != name and label in names:
            raise ConfigError(f"Row {label} has models with and without a seed: {name} and {label}.")


def _check_scales(methods: Sequence[Method]) -> None:
    """Make sure that every scale has one file of a name."""
    for method in methods:
        for first, second in combinations(method.files, 2):
            if first.scale == second.scale or None in (first.scale, second.scale):
                scale = first.scale or second.scale
                raise ConfigError(
                    f"{first.source} and {second.source} of row {method.name} both make "
                    f"{f'x{scale}' if scale else 'every scale'}: give one another label, or a seed, such as "
                    f"{method.label}#2={second.source}."
                )


def _check_weights_differ(methods: Sequence[Method]) -> None:
    """Make sure that no weights count twice in one row."""
    seen: dict[tuple[str, str], str] = {}
    for method in methods:
        for file in method.files:
            key = method.label, file.digest
            if key in seen:
                raise ConfigError(f"Row {key[0]} has the same weights twice: {seen[key]} and {file.source}.")
            seen[key] = file.source


@lru_cache(maxsize=64)
def _load(source: str, digest: str, device: str) -> SuperResolver:  # noqa: ARG001
    """The model; the digest tells a file that was replaced under the same name."""
    return weights.load(source, device)
