"""Which device computes, and in which precision, from the words a person gives.

torch is imported when a device is asked for, so that a process that only hands out work stays small.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from histoscale.errors import ConfigError

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["fp32", "bf16"]
"""As `histoscale.inference.Precision`, without its torch."""
Wanted: TypeAlias = Literal["auto", "fp32", "bf16"]


def find_device(name: str) -> "torch.device":
    """The device called ``name``: "cpu", "cuda", "cuda:1", "mps"; "auto" is a GPU where there is one.

    Raises:
        ConfigError: if it is unknown or absent.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise ConfigError(f"There is no device {name} here: try auto or cpu.") from error
    return device


def find_precision(wanted: str, device: "torch.device") -> Precision:
    """What to compute in; "auto" is bf16 where the device multiplies it natively, else fp32.

    Raises:
        ConfigError: if it is not one of `Wanted`.
    """
    match wanted:
        case "auto":
            return "bf16" if multiplies_bf16(device) else "fp32"
        case "fp32" | "bf16":
            return wanted
        case _:
            raise ConfigError(f"Wanted a precision of {', '.join(get_args(Wanted))}, got {wanted}.")


def multiplies_bf16(device: "torch.device") -> bool:
    """Whether bf16 is faster than fp32 there: native instructions, not emulation."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
