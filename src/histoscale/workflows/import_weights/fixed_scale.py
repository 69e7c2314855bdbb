"""EDSR, RDN and SwinIR of the official repositories: their ranges and means, in the first and last layer.

EDSR works on 0 to 255 around the mean colour of DIV2K, RDN on 0 to 255 around black, SwinIR on 0 to 1 around
that mean, LIIF's family on -1 to 1 around grey. Our models see (x - mean) / 0.5: the range is a factor of two
layers, exactly; the mean is an argument of the model, as what lies beyond the border has that colour.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from histoscale.errors import WeightsError
from histoscale.workflows.import_weights import encoders
from histoscale.workflows.import_weights.checkpoint import State
from histoscale.workflows.import_weights.encoders import MEAN_SHIFT, UNUSED
from histoscale.workflows.import_weights.layout import Layout, Names, layers_of, within

DIV2K = (0.4488, 0.4371, 0.4040)
BLACK = (0.0, 0.0, 0.0)
BYTES, UNIT, CENTRED = 255.0, 1.0, 2.0
"""How far apart black and white are for a network."""
FULL_EDSR_CHANNELS = 256


def _edsr_shuffles(state: State) -> int:
    return layers_of(state, r"tail\.0\.\d\.weight")


def _rdn_shuffles(state: State) -> int:
    return layers_of(state, r"UPNet\.\d\.weight") - 1


def _swinir_shuffles(state: State) -> int:
    return layers_of(state, r"upsample\.\d\.weight")


def _scale(state: State, widening: str, shuffles: int) -> int:
    """From the upsampler's first convolution, r^2 times as wide as its input, and the number of shuffles."""
    after, before = state[widening].shape[:2]
    return int(round((after / before) ** 0.5) ** shuffles)


def _edsr_arguments(state: State) -> dict[str, Any]:
    size = encoders.edsr_arguments(state)
    return {
        "scale": _scale(state, "tail.0.0.weight", _edsr_shuffles(state)),
        **size,
        "residual_scale": 0.1 if size["channels"] == FULL_EDSR_CHANNELS else 1.0,  # which no tensor tells
    }


def _rdn_arguments(state: State) -> dict[str, Any]:
    scale = _scale(state, "UPNet.0.weight", _rdn_shuffles(state))
    return {"scale": scale, **encoders.rdn_arguments(state)}


def _swinir_arguments(state: State) -> dict[str, Any]:
    return {
        "scale": _scale(state, "upsample.0.weight", _swinir_shuffles(state)),
        **encoders.swinir_arguments(state),
        "embedding": state["conv_first.weight"].shape[0],
    }


def _around(
    arguments: Callable[[State], dict[str, Any]], mean: tuple[float, ...]
) -> Callable[[State], dict[str, Any]]:
    """The same arguments, and a mean colour."""
    return lambda state: arguments(state) | {"mean": mean}


def _folded(state: State, first: str, last: str, shuffles: Callable[[State], int], apart: float) -> State:
    """The first layer scaled in place, the last one scaled and called by our name."""
    at = 2 * shuffles(state)  # a convolution and a shuffle each
    state[f"{first}.weight"] = state[f"{first}.weight"] * (apart / 2)
    return {
        f"upsampler.{at}.{kind}": state.pop(f"{last.format(at=at)}.{kind}") * (2 / apart)
        for kind in ("weight", "bias")
    }


EDSR_NAMES: Names = (*within("", encoders.EDSR, "encoder."), (r"tail\.0\.(\d)", r"upsampler.\1"))
RDN_NAMES: Names = (*within("", encoders.RDN, "encoder."), (r"UPNet\.(\d)", r"upsampler.\1"))
SWINIR_NAMES: Names = (*within("", encoders.SWINIR, "encoder."), (r"upsample\.(\d)", r"upsampler.\1"))


_edsr = partial(_folded, first="head.0", last="tail.1", shuffles=_edsr_shuffles)
_rdn = partial(_folded, first="SFENet1", last="UPNet.{at}", shuffles=_rdn_shuffles)
_swinir = partial(_folded, first="conv_first", last="conv_last", shuffles=_swinir_shuffles)


def _edsr_of_bytes(state: State) -> State:
    """EDSR-PyTorch's mean shift becomes the model's mean, so it has to be the published one."""
    for kind in ("weight", "bias"):
        del state[f"add_mean.{kind}"]
    eye, shift = state.pop("sub_mean.weight").flatten(1), state.pop("sub_mean.bias")
    if not (
        torch.equal(eye, torch.eye(3)) and torch.allclose(-shift / BYTES, torch.tensor(DIV2K), atol=1e-4)
    ):
        raise WeightsError(f"wanted the mean of DIV2K on 0 to 255, got a shift of {shift.tolist()}")
    return _edsr(state, apart=BYTES)


PLAIN = {
    "edsr": Layout(_around(_edsr_arguments, DIV2K), EDSR_NAMES, UNUSED, _edsr_of_bytes),
    "rdn": Layout(_around(_rdn_arguments, BLACK), RDN_NAMES, UNUSED, partial(_rdn, apart=BYTES)),
    "swinir": Layout(_around(_swinir_arguments, DIV2K), SWINIR_NAMES, UNUSED, partial(_swinir, apart=UNIT)),
}
"""Checkpoints of EDSR-PyTorch, of RDN in its manner, and of SwinIR."""

OF_LIIF = {
    "edsr": Layout(_edsr_arguments, EDSR_NAMES, UNUSED + MEAN_SHIFT, partial(_edsr, apart=CENTRED)),
    "rdn": Layout(_rdn_arguments, RDN_NAMES, UNUSED, partial(_rdn, apart=CENTRED)),
    "swinir": Layout(_swinir_arguments, SWINIR_NAMES, UNUSED, partial(_swinir, apart=CENTRED)),
}
"""The same networks as LIIF's family trains them."""
