"""A model with its card, on a device, in a precision: loaded when the first picture needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import torch

from histoscale import weights
from histoscale.errors import ConfigError, HistoscaleError
from histoscale.inference import Precision
from histoscale.models.base import SuperResolver

Wanted: TypeAlias = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Engine:
    """What computes.

    Args:
        model_name: shipped name or path of weights.
        device_name: "auto", "cpu", "cuda", "cuda:1", "mps".
        wanted: precision; "auto" is bf16 where the processor multiplies it natively, else fp32.
        tile_px: side of a tile's core; None for automatic.

    Raises:
        ConfigError: if a precision or device is unknown or absent.
    """

    model_name: str
    device_name: str = "auto"
    wanted: Wanted = "auto"
    tile_px: int | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where it computes."""
        if self.device_name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device_name)
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
            raise ConfigError(f"There is no device {self.device_name} here: try auto or cpu.") from error
        return device

    @cached_property
    def precision(self) -> Precision:
        """What it computes in."""
        if self.wanted not in get_args(Wanted):
            raise ConfigError(f"Wanted a precision of {', '.join(get_args(Wanted))}, got {self.wanted}.")
        if self.wanted == "auto":
            return "bf16" if multiplies_bf16(self.device) else "fp32"
        return self.wanted

    @cached_property
    def card(self) -> weights.Card:
        """What the weights are."""
        return weights.card(self.model_name)

    @cached_property
    def model(self) -> SuperResolver:
        """The weights in place."""
        return weights.load(self.model_name, self.device)

    @property
    def label(self) -> str:
        """Name and precision, as the output line shows them."""
        return f"{self.card.name} {self.precision}"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: native instructions, not emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn a failed allocation inside the block into one sentence.

    Raises:
        HistoscaleError: naming ``what`` was being made.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise HistoscaleError(f"Memory ran out while making {what}: try a smaller --tile.") from error
        raise
