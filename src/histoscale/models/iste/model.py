"""ISTE (Duan et al., Sci. Rep. 2025): implicit self-texture enhancement at any scale (Fig. 2)."""

from math import lcm
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.models.base import Cell, CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.iste.branches import Branches, Maps, Parts
from histoscale.models.iste.decoding import decode_grid, decode_points


class IntermediateMaps(NamedTuple):
    """Intermediate maps of ISTE; ``i_lpd + i_ltd`` is I_Pred in [-1, 1].

    Attributes:
        f_lr: features of the encoder.
        f_tl: features of the texture learner at each output pixel.
        i_lpd, i_ltd: outputs of the pixel decoder and of the texture decoder.
    """

    f_lr: Float[Tensor, "b c h w"]
    f_tl: Float[Tensor, "b d H W"]
    i_lpd: Float[Tensor, "b 3 H W"]
    i_ltd: Float[Tensor, "b 3 H W"]


class ISTE(CoordinateSuperResolver):
    """Eq. (8): I_Pred = I_LPD + I_LTD, without a skip from the input, as in the paper.

    Args:
        encoder, blocks, channels: see `build_encoder`.
        parts: fields of `Parts`: key set, reading of Eq. 2, sizes, switches.

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
        self.branches = Branches(channels, Parts(**parts))
        self.halo_px = self.encoder.halo_px + self.branches.halo_px
        self.alignment_px = lcm(self.encoder.alignment_px, self.branches.alignment_px)

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Maps:
        """Compute the maps of both branches, which all scales share."""
        maps: Maps = self.branches(self.encoder((image - 0.5) / 0.5))
        return maps

    def decode(
        self, features: Maps, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions; the key set defines what they may retrieve."""
        return decode_points(self.branches, features, positions, cell) * 0.5 + 0.5

    def render(
        self, features: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid, in blocks of cells."""
        return decode_grid(self.branches, features, rows, cols, cell) * 0.5 + 0.5

    def intermediate_maps(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> IntermediateMaps:
        """Compute the maps that Figs. 8 and 9 show, in the same way as `forward`.

        Raises:
            ConfigError: if the model has only one decoder.
        """
        if self.branches.pixel_decoder is None or self.branches.texture_decoder is None:
            raise ConfigError(
                "This ISTE has only one decoder, but the maps of Figs. 8 and 9 need both: "
                "use weights with pixel_decoder and texture_decoder on."
            )
        features = self.encoder((image - 0.5) / 0.5)
        maps = self.branches(features)
        rows, cols = (
            output_positions(side, n).to(image.device) for side, n in zip(size, image.shape[-2:], strict=True)
        )
        grid = (rows, cols, (image.shape[-2] / size[0], image.shape[-1] / size[1]))
        return IntermediateMaps(
            f_lr=features,
            f_tl=self.branches.texture(maps, *grid),
            i_lpd=decode_grid(self.branches.without("texture_decoder"), maps, *grid),
            i_ltd=decode_grid(self.branches.without("pixel_decoder"), maps, *grid),
        )
