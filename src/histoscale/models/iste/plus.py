"""iste-plus, not in the paper: iste-fast, and the paper's two branches as a residual on top of it."""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from histoscale.models.base import Cell, CoordinateSuperResolver
from histoscale.models.iste.branches import Branches, Maps, Parts
from histoscale.models.iste.decoding import decode_grid, decode_points
from histoscale.models.iste.fast import FastFeatures, FastISTE


class PlusFeatures(NamedTuple):
    """Output of `ISTEPlus.encode`: features of the base and maps of the branches."""

    fast: FastFeatures
    maps: Maps


class ISTEPlus(CoordinateSuperResolver):
    """`FastISTE` plus I_LPD + I_LTD, from one encoder.

    The output layers of both decoders start at zero. An untrained model therefore gives the pixels of its
    base, and the weights of a trained `FastISTE` can be loaded into ``base``. The default key set is
    ``cells``, so that pixels depend neither on blocks nor on tiles.

    Args:
        blocks, channels: residual blocks and width of the shared EDSR encoder.
        waves: sines per cell and colour of the base.
        keys, parts: fields of `Parts`.
    """

    def __init__(
        self, blocks: int = 16, channels: int = 64, waves: int = 47, keys: str = "cells", **parts: Any
    ):
        super().__init__()
        self.base = FastISTE(blocks, channels, waves=waves)
        self.branches = Branches(channels, Parts(keys=keys, **parts))
        # I_LPD + I_LTD = 0 at the start of training: the model begins as its base.
        for decoder in (self.branches.pixel_decoder, self.branches.texture_decoder):
            if decoder is not None:
                decoder.zero_output()
        # Base and branches read the same encoder; a tile needs the context of the wider one.
        self.halo_px = max(self.base.halo_px, self.base.encoder.halo_px + self.branches.halo_px)
        self.alignment_px = self.branches.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> PlusFeatures:
        """Compute F_LR once, and from it the inputs of the base and of the branches."""
        features = self.base.encoder(image * 2 - 1)
        return PlusFeatures(FastFeatures(image, self.base.head.spread(features)), self.branches(features))

    def decode(
        self, features: PlusFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions."""
        return self.base.decode(features.fast, positions, cell) + self.residual(features, positions, cell)

    def residual(
        self, features: PlusFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute I_LPD + I_LTD at scattered positions."""
        # Half: the branches compute colours in [-1, 1], the base in [0, 1].
        return decode_points(self.branches, features.maps, positions, cell) * 0.5

    def render(
        self, features: PlusFeatures, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid."""
        residual = decode_grid(self.branches, features.maps, rows, cols, cell)
        return self.base.render(features.fast, rows, cols, cell) + residual * 0.5
