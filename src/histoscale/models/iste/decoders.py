"""The local pixel decoder (LPD) and the local texture decoder (LTD). Fig. 5c, Eqs. 6 and 7."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from histoscale.models.iste.fusion import at_least_single


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths with ReLU in between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class LocalPixelDecoder(nn.Module):
    """Eq. (6): f_theta(F_STF, x_q - u_t, c), the colour that a corner proposes; weighted by S_t / S.

    The first layer is split: its feature part depends on the cell alone and is done once per cell
    (`project`), its other part on four numbers per point.

    Args:
        width: of F_STF.
        hidden, layers: of the MLP.
    """

    def __init__(self, width: int = 256, hidden: int = 256, layers: int = 3):
        super().__init__()
        self.width = width
        self.first = nn.Linear(width + 4, hidden)
        self.rest = nn.Sequential(nn.ReLU(), *_mlp([*[hidden] * layers, 3]))

    def project(self, fused: Float[Tensor, "*n c"]) -> Float[Tensor, "*n hidden"]:
        """The first layer's feature part, for each row of F_STF."""
        return linear(fused, self.first.weight[:, : self.width])

    def forward(
        self,
        projected: Float[Tensor, "g q hidden"],
        offset: Float[Tensor, "g q 2"],
        cell: Float[Tensor, "g 2"],
    ) -> Float[Tensor, "g q 3"]:
        """RGB in [-1, 1] from the projected features, the point's offset from its cell, and the cell size."""
        where = self.first.weight[:, self.width :]
        constant = linear(cell, where[:, 2:], self.first.bias)[:, None]
        return _colour(self.rest, projected + linear(offset, where[:, :2]) + constant)

    def zero_output(self) -> None:
        """Start as a decoder that adds nothing."""
        _zero(self.rest[-1])


class LocalTextureDecoder(nn.Module):
    """Eq. (7): g_phi(F_TL), the texture that a corner proposes; weighted by S_t / S.

    Args:
        width: of F_TL.
        hidden, layers: of the MLP.
    """

    def __init__(self, width: int = 256, hidden: int = 256, layers: int = 3):
        super().__init__()
        self.mlp = _mlp([width, *[hidden] * layers, 3])

    def forward(self, texture: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 3"]:
        """RGB in [-1, 1] from the texture features; no coordinates."""
        return _colour(self.mlp, texture)

    def zero_output(self) -> None:
        """Start as a decoder that adds nothing."""
        _zero(self.mlp[-1])


def _colour(layers: nn.Sequential, x: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 3"]:
    """The layers, the last in single precision: colours in bfloat16 are half a grey level apart."""
    hidden, last = layers[:-1](x), layers[-1]
    with torch.autocast(x.device.type, enabled=False):
        rgb: Tensor = last(at_least_single(hidden))
    return rgb


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
