"""EDSR, RDN and SwinIR of the official repositories: their ranges and means, in the first and last layer.

EDSR works on 0 to 255 around the mean colour of DIV2K, RDN on 0 to 255 around black, SwinIR on 0 to 1 around
that mean, LIIF's family on -1 to 1 around grey. Our models see (x - mean) / 0.5: the range is a factor of two
layers, exactly; the mean is an argument of the model, as what lies beyond the border has that colour.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from histoscale.importing import encoders
from histoscale.importing.checkpoint import State
from histoscale.importing.encoders import MEAN_SHIFT, UNUSED
from histoscale.importing.layout import Layout, first_sides, highest, sizes, within

DIV2K = (0.4488, 0.4371, 0.4040)
BLACK = (0.0, 0.0, 0.0)
BYTES, UNIT = 255.0, 1.0
"""How far apart black and white are for a network; for ours, and LIIF's family, 2."""
FULL_EDSR_CHANNELS = 256

EDSR_MEAN: State = {
    "sub_mean.weight": torch.eye(3)[..., None, None],
    "sub_mean.bias": -BYTES * torch.tensor(DIV2K),
    "add_mean.weight": torch.eye(3)[..., None, None],
    "add_mean.bias": BYTES * torch.tensor(DIV2K),
}
"""EDSR-PyTorch's mean shift, which becomes the model's mean."""


def _scale(state: State, upsampler: str, shuffles: int, channels: int) -> int:
    """From the upsampler's first convolution, r^2 times as wide as its input, and the number of shuffles."""
    factor = 3 if 9 * channels in first_sides(state, rf"{upsampler}\.0\..*") else 2
    return int(factor ** max(shuffles, 1))


def _edsr_arguments(state: State) -> dict[str, Any]:
    size = encoders.edsr_arguments(state)
    channels = size.get("channels", 0)
    shuffles = highest(state, r"tail\.0\.(\d)\..*") // 2 + 1
    return {
        "scale": _scale(state, r"tail\.0", shuffles, channels),
        **size,
        "residual_scale": 0.1 if channels == FULL_EDSR_CHANNELS else 1.0,  # which no tensor tells
    }


def _rdn_arguments(state: State) -> dict[str, Any]:
    size = encoders.rdn_arguments(state)
    shuffles = highest(state, r"UPNet\.(\d)\..*") // 2
    return {"scale": _scale(state, "UPNet", shuffles, size.get("channels", 0)), **size}


def _swinir_arguments(state: State) -> dict[str, Any]:
    size = encoders.swinir_arguments(state)
    shuffles = highest(state, r"upsample\.(\d)\..*") // 2 + 1
    return {
        "scale": _scale(state, "upsample", shuffles, size.get("channels", 0)),
        **size,
        **sizes(state, embedding=r"(conv_first|patch_embed\.norm|conv_after_body)\..*"),
    }


def _last(ours: State, called: str) -> State:
    """The upsampler's last convolution, by the name that it has instead of a number."""
    *_, weight, bias = ours
    return {f"{called}.weight": ours.pop(weight), f"{called}.bias": ours.pop(bias)}


def _rescaled(ours: State, apart: float) -> State:
    """The first convolution and the upsampler's last one for colours that are 2 apart."""
    *_, weight, bias = ours
    factors = {"encoder.first.weight": apart / 2, weight: 2 / apart, bias: 2 / apart}
    return ours | {name: ours[name] * factor for name, factor in factors.items()}


def _around(mean: tuple[float, ...], apart: float, layout: Layout, **published: bool) -> Layout:
    """The same network around another colour, with another range, and what else its authors do."""
    return replace(
        layout,
        arguments=lambda state: layout.arguments(state) | {"mean": mean, **published},
        rescaled=partial(_rescaled, apart=apart),
    )


OF_LIIF = {
    "edsr": Layout(
        _edsr_arguments,
        (*within("encoder.", encoders.EDSR), (r"upsampler\.(\d)", r"tail.0.\1")),
        UNUSED + MEAN_SHIFT,
        partial(_last, called="tail.1"),
    ),
    "rdn": Layout(
        _rdn_arguments,
        (*within("encoder.", encoders.RDN), (r"upsampler\.(\d)", r"UPNet.\1")),
    ),
    "swinir": Layout(
        _swinir_arguments,
        (*within("encoder.", encoders.SWINIR), (r"upsampler\.(\d)", r"upsample.\1")),
        UNUSED,
        partial(_last, called="conv_last"),
    ),
}
"""EDSR, RDN and SwinIR as LIIF's family trains them."""

PLAIN = {
    "edsr": replace(_around(DIV2K, BYTES, OF_LIIF["edsr"]), unused=(), fixed=EDSR_MEAN),
    "rdn": _around(BLACK, BYTES, OF_LIIF["rdn"]),
    "swinir": _around(DIV2K, UNIT, OF_LIIF["swinir"], padded_as_published=True),
}
"""The same networks as EDSR-PyTorch, an RDN in its manner, and SwinIR's repository save them."""
