"""The local pixel decoder (LPD) and the local texture decoder (LTD): Fig. 5c, Eqs. 6 and 7."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from histoscale.models.iste.fusion import at_least_single


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    """Build linear layers of these widths with ReLU in between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class LocalPixelDecoder(nn.Module):
    """Eq. (6): f_theta(F_STF, x_q - u_t, c), the colour of a corner t; corners are weighted by S_t / S.

    The first layer is linear in its inputs and is therefore split. `project` multiplies F_STF once per cell;
    `forward` adds the products of offset and cell size, four numbers per point.

    Args:
        width: channels of F_STF.
        hidden, layers: width and number of the MLP's hidden layers.
    """

    def __init__(self, width: int = 256, hidden: int = 256, layers: int = 3):
        super().__init__()
        self.width = width
        self.first = nn.Linear(width + 4, hidden)
        # `first` is the layer that is split, so the others start with its ReLU.
        self.rest = nn.Sequential(nn.ReLU(), *_mlp([*[hidden] * layers, 3]))

    def project(self, fused: Float[Tensor, "*n c"]) -> Float[Tensor, "*n hidden"]:
        """Multiply each row of F_STF by its columns of the first layer's matrix."""
        return linear(fused, self.first.weight[:, : self.width])

    def forward(
        self,
        projected: Float[Tensor, "g q hidden"],
        offset: Float[Tensor, "g q 2"],
        cell: Float[Tensor, "g 2"],
    ) -> Float[Tensor, "g q 3"]:
        """Compute RGB in [-1, 1] from the projected features, x_q - u_t and c."""
        # The four columns of the matrix after those of F_STF: two for the offset, two for c.
        where = self.first.weight[:, self.width :]
        # c is the same for all points of an image: one product per image, [g, 1, hidden].
        constant = linear(cell, where[:, 2:], self.first.bias)[:, None]
        return _colour(self.rest, projected + linear(offset, where[:, :2]) + constant)

    def zero_output(self) -> None:
        """Set the last layer to zero, so that the decoder adds nothing at first."""
        _zero(self.rest[-1])


class LocalTextureDecoder(nn.Module):
    """Eq. (7): g_phi(F_TL), the colour of a corner t from its texture; corners are weighted by S_t / S.

    Args:
        width: channels of F_TL.
        hidden, layers: width and number of the MLP's hidden layers.
    """

    def __init__(self, width: int = 256, hidden: int = 256, layers: int = 3):
        super().__init__()
        self.mlp = _mlp([width, *[hidden] * layers, 3])

    def forward(self, texture: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 3"]:
        """Compute RGB in [-1, 1] from the texture features alone."""
        return _colour(self.mlp, texture)

    def zero_output(self) -> None:
        """Set the last layer to zero, so that the decoder adds nothing at first."""
        _zero(self.mlp[-1])


def _colour(layers: nn.Sequential, x: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 3"]:
    """Apply the layers, the last one in single precision."""
    # bfloat16 colours are half a grey level apart.
    hidden, last = layers[:-1](x), layers[-1]
    with torch.autocast(x.device.type, enabled=False):
        rgb: Tensor = last(at_least_single(hidden))
    return rgb


def _zero(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
