"""ISTE (Duan et al., Sci. Rep. 2025): implicit self-texture enhancement at any scale. Fig. 2."""

from math import lcm
from typing import Any

from jaxtyping import Float
from torch import Tensor

from histoscale.models.base import Cell, CoordinateSuperResolver
from histoscale.models.encoders.build import build_encoder
from histoscale.models.iste.branches import Branches, Maps


class ISTE(CoordinateSuperResolver):
    """Eq. (8): I_Pred = I_LPD + I_LTD, with no skip from the input. Faithful to the paper; see `Branches`.

    Args:
        encoder, blocks, channels: see `build_encoder`.
        parts: arguments of `Branches`: key set, reading of Eq. 2, switches.

    Raises:
        ConfigError: for an unknown encoder or argument, or parts that do not make a model.

    Example:
        >>> model = ISTE(encoder="edsr", blocks=1, channels=8)
        >>> model(torch.rand(1, 3, 6, 8), size=(15, 20)).shape
        torch.Size([1, 3, 15, 20])
    """

    def __init__(
        self,
        encoder: str = "edsr",
        blocks: int | None = None,
        channels: int = 64,
        **parts: Any,
    ):
        super().__init__()
        self.encoder = build_encoder(encoder, blocks, channels)
        self.branches = Branches(channels, **parts)
        self.halo_px = self.encoder.halo_px + self.branches.halo_px
        self.alignment_px = lcm(self.encoder.alignment_px, self.branches.alignment_px)

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Maps:
        """The maps of both branches, which all scales share."""
        maps: Maps = self.branches(self.encoder((image - 0.5) / 0.5))
        return maps

    def decode(
        self, features: Maps, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """RGB at scattered positions; what they may retrieve from is the key set of `Branches`."""
        return self.branches.decode(features, positions, cell) * 0.5 + 0.5

    def render(
        self, features: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """RGB on a grid, by the blocks of cells of `Branches`."""
        return self.branches.render(features, rows, cols, cell) * 0.5 + 0.5
