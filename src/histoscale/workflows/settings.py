"""The settings of a downstream task: originals, made small, and made large again by bicubic and by models."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from histoscale import weights
from histoscale.errors import ConfigError, ScaleError
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver
from histoscale.workflows.rows import read_rows
from histoscale.workflows.scoring import DIGEST_DIGITS

ORIGINAL, LOW, BICUBIC = "original", "low resolution", "bicubic"
"""Those that are always there; the others are models."""


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
