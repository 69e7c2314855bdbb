"""EDSR, RDN and SwinIR of the official repositories, with their ranges and mean colours.

EDSR computes on 0 to 255 around the mean colour of DIV2K, RDN on 0 to 255 around black, SwinIR on 0 to 1
around the mean of DIV2K, LIIF's family on -1 to 1 around grey. The models of this package get
(x - mean) / 0.5. The range becomes a factor of the first and of the last layer, exactly. The mean is an
argument of the model, because the zero padding at the border has that colour.
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
"""The distance of black and white for a network. It is 2 in this package and in LIIF's family."""
FULL_EDSR_CHANNELS = 256

EDSR_MEAN: State = {
    "sub_mean.weight": torch.eye(3)[..., None, None],
    "sub_mean.bias": -BYTES * torch.tensor(DIV2K),
    "add_mean.weight": torch.eye(3)[..., None, None],
    "add_mean.bias": BYTES * torch.tensor(DIV2K),
}
"""The mean shift of EDSR-PyTorch, which becomes the argument ``mean`` of the model."""


def _scale(state: State, upsampler: str, shuffles: int, channels: int) -> int:
    """Find the scale from the upsampler's first convolution and the number of its pixel shuffles."""
    # The convolution before a shuffle by r has r^2 times the channels.
    factor = 3 if 9 * channels in first_sides(state, rf"{upsampler}\.0\..*") else 2
    return int(factor ** max(shuffles, 1))


def _edsr_arguments(state: State) -> dict[str, Any]:
    """Find scale, blocks and channels of an EDSR."""
    size = encoders.edsr_arguments(state)
    channels = size.get("channels", 0)
    shuffles = highest(state, r"tail\.0\.(\d)\..*") // 2 + 1
    return {
        "scale": _scale(state, r"tail\.0", shuffles, channels),
        **size,
        "residual_scale": 0.1 if channels == FULL_EDSR_CHANNELS else 1.0,  # no tensor shows it
    }


def _rdn_arguments(state: State) -> dict[str, Any]:
    """Find scale, blocks and channels of an RDN."""
    size = encoders.rdn_arguments(state)
    shuffles = highest(state, r"UPNet\.(\d)\..*") // 2
    return {"scale": _scale(state, "UPNet", shuffles, size.get("channels", 0)), **size}


def _swinir_arguments(state: State) -> dict[str, Any]:
    """Find scale, blocks, channels and embedding of a SwinIR."""
    size = encoders.swinir_arguments(state)
    shuffles = highest(state, r"upsample\.(\d)\..*") // 2 + 1
    return {
        "scale": _scale(state, "upsample", shuffles, size.get("channels", 0)),
        **size,
        **sizes(state, embedding=r"(conv_first|patch_embed\.norm|conv_after_body)\..*"),
    }


def _last(ours: State, called: str) -> State:
    """Rename the upsampler's last convolution, which has no number in the official model."""
    *_, weight, bias = ours
    return {f"{called}.weight": ours.pop(weight), f"{called}.bias": ours.pop(bias)}


def _rescaled(ours: State, apart: float) -> State:
    """Scale the first convolution and the upsampler's last one from the range ``apart`` to 2."""
    # Our colours are apart / 2 times smaller than the authors': the first layer makes up for that, and the
    # last layer gives colours that are as much smaller.
    *_, weight, bias = ours
    factors = {"encoder.first.weight": apart / 2, weight: 2 / apart, bias: 2 / apart}
    return ours | {name: ours[name] * factor for name, factor in factors.items()}


def _around(mean: tuple[float, ...], apart: float, layout: Layout, **published: bool) -> Layout:
    """Return a layout with another mean colour, another range and further ``published`` arguments."""
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
"""EDSR, RDN and SwinIR as trained in LIIF's family."""

PLAIN = {
    "edsr": replace(_around(DIV2K, BYTES, OF_LIIF["edsr"]), unused=(), fixed=EDSR_MEAN),
    "rdn": _around(BLACK, BYTES, OF_LIIF["rdn"]),
    "swinir": _around(DIV2K, UNIT, OF_LIIF["swinir"], padded_as_published=True),
}
"""EDSR as in EDSR-PyTorch, RDN as in repositories like it, SwinIR as in its authors' repository."""
