"""The settings of a downstream task (originals, low resolution, bicubic and models) and their images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from histoscale import weights
from histoscale.data.pillow_degradation import upscale_bicubic
from histoscale.errors import ConfigError, ScaleError
from histoscale.experiments.images import as_batch, as_pixels
from histoscale.experiments.methods import BICUBIC, DIGEST_DIGITS, parse, read_weights
from histoscale.experiments.results import read_rows
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver
from histoscale.resources import Precision

ORIGINAL, LOW = "original", "low resolution"
"""The settings that every task has, beside bicubic; each other setting is a model."""
AT_ONCE = 16
"""Images that a model upscales together."""


class Setting(NamedTuple):
    """A setting; of a model also the first digits of its weights' sha256, and what these were trained on.

    The fields are the columns of ``settings.csv``.
    """

    name: str
    digest: str = ""
    learnt_from: str = ""


def name_models(texts: Sequence[str]) -> dict[str, str]:
    """List the models' weights by name, from ``LABEL=WEIGHTS`` or weights.

    Raises:
        ConfigError: if two models have the same name, or one is called as a setting that every task has.
    """
    sources: dict[str, str] = {}
    for name, source in map(parse, texts):
        if name in (ORIGINAL, LOW, BICUBIC, *sources):
            raise ConfigError(f"Two settings are called {name}: give {source} another label.")
        sources[name] = source
    return sources


def describe_settings(sources: Mapping[str, str]) -> list[Setting]:
    """Describe all settings, in the order of the tables.

    Args:
        sources: the models' weights by name.

    Raises:
        WeightsError: if weights or their card are missing.
    """
    models = [_describe_model(name, source) for name, source in sources.items()]
    return [Setting(ORIGINAL), Setting(LOW), Setting(BICUBIC), *models]


def _describe_model(name: str, source: str) -> Setting:
    card = weights.card(source)
    sets = [f"{one.set} {one.split}".rstrip() + f" ({one.images or 'some'} images)" for one in card.data]
    return Setting(name, card.sha256[:DIGEST_DIGITS], ", ".join(sets) or "not stated")


def read_settings(path: Path) -> list[Setting]:
    """Read the settings that a run wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Setting)


@dataclass(frozen=True)
class SettingImages:
    """Makes the images of every setting.

    Attributes:
        models: the super-resolution models by setting.
    """

    models: Mapping[str, SuperResolver] = field(default_factory=dict)
    device: torch.device = torch.device("cpu")  # noqa: RUF009  # immutable
    precision: Precision = "fp32"

    def make(
        self, setting: str, low: UInt8[np.ndarray, "b h w 3"], truth: UInt8[np.ndarray, "b H W 3"]
    ) -> UInt8[np.ndarray, "b _ _ 3"]:
        """Make the images of a setting, in 8 bits, as a file would store them.

        Args:
            low: the low-resolution images.
            truth: the originals, cropped to the size that ``low`` is upscaled to.
        """
        if setting == ORIGINAL:
            return truth
        if setting == LOW:
            return low
        size = (truth.shape[1], truth.shape[2])
        if setting == BICUBIC:
            return np.stack([upscale_bicubic(image, size) for image in low])
        model = self.models[setting]
        parts = [as_batch(low[i : i + AT_ONCE]) for i in range(0, len(low), AT_ONCE)]
        made = [upscale(model, part, size, precision=self.precision, device=self.device) for part in parts]
        return np.concatenate([as_pixels(part) for part in made])


def load_models(
    sources: Mapping[str, str], lr_size: tuple[int, int], size: tuple[int, int], device: torch.device
) -> dict[str, SuperResolver]:
    """Load the models by name, and make sure that each can upscale ``lr_size`` (height, width) to ``size``.

    Raises:
        WeightsError: if weights are missing or damaged.
        ConfigError: if a model cannot make that size.
    """
    models = {name: read_weights(source, device).load(device) for name, source in sources.items()}
    for name, model in models.items():
        try:
            upscale(model, torch.zeros(1, 3, *lr_size), size, device=device)
        except ScaleError as error:
            raise ConfigError(f"Model {name} cannot be used: {error}") from None
    return models
