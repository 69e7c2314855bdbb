"""A model with its card, on a device, in a precision: loaded, torch included, when a picture needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from histoscale.errors import HistoscaleError
from histoscale.resources import Precision, PrecisionChoice, find_device, find_precision, is_out_of_memory
from histoscale.upscaling.results import UsedModel

if TYPE_CHECKING:
    import torch

    from histoscale.models.base import SuperResolver
    from histoscale.weights import Card


@dataclass(frozen=True)
class Engine:
    """What computes.

    Args:
        model_name: shipped name or path of weights.
        device_name: "auto", "cpu", "cuda", "cuda:1", "mps".
        wanted: precision; "auto" is bf16 where the processor multiplies it natively, else fp32.
        tile_px: side of a tile's core; None for automatic.
        allow_resize: take a fixed-scale model to other scales by bicubic.

    Raises:
        ConfigError: if a precision or device is unknown or absent.
    """

    model_name: str
    device_name: str = "auto"
    wanted: PrecisionChoice = "auto"
    tile_px: int | None = None
    allow_resize: bool = False

    @cached_property
    def device(self) -> "torch.device":
        """Where it computes."""
        return find_device(self.device_name)

    @cached_property
    def precision(self) -> Precision:
        """What it computes in."""
        return find_precision(self.wanted, self.device)

    @cached_property
    def card(self) -> "Card":
        """What the weights are."""
        from histoscale import weights

        return weights.card(self.model_name)

    @cached_property
    def model(self) -> "SuperResolver":
        """The weights in place."""
        from histoscale import weights
        from histoscale.models.any_scale import at_any_scale

        loaded = weights.load(self.model_name, self.device)
        return at_any_scale(loaded) if self.allow_resize else loaded

    @property
    def through(self) -> int:
        """The scale of a model that bicubic takes to others; 0 where the model makes the size itself."""
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
    """Turn a failed allocation inside the block into one sentence.

    Raises:
        HistoscaleError: naming ``what`` was being made.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise HistoscaleError(f"Memory ran out while making {what}: try a smaller --tile.") from error
        raise
