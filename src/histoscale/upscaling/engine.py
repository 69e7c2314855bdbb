"""A model on a device in a precision, loaded when it is first used (and torch with it)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from histoscale.errors import HistoscaleError
from histoscale.resources import Precision, PrecisionChoice, find_device, find_precision, is_out_of_memory
from histoscale.upscaling.options import Options
from histoscale.upscaling.record import UsedModel

if TYPE_CHECKING:
    import torch

    from histoscale.models.base import SuperResolver
    from histoscale.weights import Card


@dataclass(frozen=True)
class Engine:
    """The model, device and precision that compute.

    Args:
        model_name: shipped name or path of weights.
        device_name: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision_choice: "fp32", "bf16" or "auto" (bf16 if the device supports it natively).
        tile_px: side of a tile's core; None for automatic.
        allow_resize: let bicubic interpolation bring a fixed-scale model's output to other sizes.

    Raises:
        ConfigError: if a precision or device is unknown or absent.
    """

    model_name: str
    device_name: str = "auto"
    precision_choice: PrecisionChoice = "auto"
    tile_px: int | None = None
    allow_resize: bool = False

    @classmethod
    def of(cls, options: Options) -> "Engine":
        """The engine that options ask for."""
        return cls(options.model, options.device, options.precision, options.tile_px, options.allow_resize)

    @cached_property
    def device(self) -> "torch.device":
        """The device it computes on."""
        return find_device(self.device_name)

    @cached_property
    def precision(self) -> Precision:
        """The precision it computes in."""
        return find_precision(self.precision_choice, self.device)

    @cached_property
    def card(self) -> "Card":
        """The card of the weights."""
        from histoscale import weights

        return weights.card(self.model_name)

    @cached_property
    def model(self) -> "SuperResolver":
        """The model with its weights."""
        from histoscale import weights
        from histoscale.models.any_scale import at_any_scale

        loaded = weights.load(self.model_name, self.device)
        return at_any_scale(loaded) if self.allow_resize else loaded

    @property
    def through(self) -> int:
        """The fixed scale of the model if bicubic interpolation resizes its output; else 0."""
        from histoscale.models.any_scale import Resized

        return self.model.through if isinstance(self.model, Resized) else 0

    @property
    def used(self) -> UsedModel:
        """The model as files and lines name it."""
        return UsedModel(self.card.name, self.card.sha256, self.precision, self.card.scales, self.through)

    @property
    def label(self) -> str:
        """Name and precision, as the output line shows them."""
        return self.used.label


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn a failed allocation in the block into one sentence.

    Raises:
        HistoscaleError: naming ``what`` was being made.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise HistoscaleError(f"Memory ran out while making {what}: try a smaller --tile.") from error
        raise
