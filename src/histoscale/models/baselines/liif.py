"""LIIF (Chen et al., CVPR 2021): a perceptron computes the colour of a point from the nearest features."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.imaging.resize import bicubic_points
from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import as_rows, corners, pick, relative_cell


class LIIFFeatures(NamedTuple):
    """Output of `LIIF.encode`.

    Attributes:
        image: the input, for the bicubic skip.
        projected: the features times the first layer's matrix, a row per cell.
    """

    image: Float[Tensor, "b 3 h w"]
    projected: Float[Tensor, "b n c"]


class LIIF(CoordinateSuperResolver):
    """Local implicit image function with 3x3 unfolding, true cell and the four-corner ensemble.

    The perceptron's first layer is linear in [unfolded features, offset, cell]. Its product with the unfolded
    features is a conv3x3, which is computed once per low-resolution pixel instead of once per point and
    corner and gives the same numbers.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.
        width: width of the perceptron's four hidden layers.
        skip: ``bicubic`` adds the bicubic image; the last layer then starts at zero. ``none``: no skip.

    Raises:
        ConfigError: if the encoder or the skip is unknown.
    """

    def __init__(
        self,
        encoder: str = "edsr",
        blocks: int | None = None,
        channels: int = 64,
        width: int = 256,
        skip: str = "none",
    ):
        super().__init__()
        if skip not in ("none", "bicubic"):
            raise ConfigError(f"LIIF has no skip {skip!r}: use none or bicubic.")
        self.skip = skip
        self.encoder = build_encoder(encoder, blocks, channels)
        # The columns of the first layer that belong to features; the bias is in this part.
        self.feature_part = nn.Conv2d(channels, width, 3, padding=1)
        self.place_part = nn.Linear(4, width, bias=False)
        hidden = [layer for _ in range(3) for layer in (nn.ReLU(), nn.Linear(width, width))]
        self.layers = nn.Sequential(*hidden, nn.ReLU(), nn.Linear(width, 3))
        self.halo_px = self.encoder.halo_px + 2
        self.alignment_px = self.encoder.alignment_px
        self._initialise()

    def _initialise(self) -> None:
        """Initialise the two parts of the first layer as one linear layer."""
        # torch's bound for a linear layer of 9 channels, offset and cell.
        bound = 1 / math.sqrt(9 * self.encoder.channels + 4)
        for parameter in (*self.feature_part.parameters(), *self.place_part.parameters()):
            nn.init.uniform_(parameter, -bound, bound)
        if self.skip == "bicubic":
            for parameter in self.layers[-1].parameters():
                nn.init.zeros_(parameter)

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> LIIFFeatures:
        """Compute the features times the first layer's matrix; keep the image for the skip."""
        return LIIFFeatures(image, as_rows(self.feature_part(self.encoder(image * 2 - 1))))

    def decode(
        self, features: LIIFFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        image = features.image
        places = relative_cell(cell.to(image))[:, None].expand(-1, positions.shape[1], -1)
        # In [-1, 1] as the network's input: the skip, or zero.
        rgb = bicubic_points(image, positions) * 2 - 1 if self.skip == "bicubic" else image.new_zeros(())
        # The local ensemble over the four corners t.
        for corner in corners(positions, (image.shape[2], image.shape[3]), image.dtype):
            place = self.place_part(torch.cat((corner.offset, places), dim=-1))
            # f_theta(z, x_q - u_t, c), weighted by S_t / S.
            colour: Tensor = self.layers(pick(features.projected, corner.cell) + place)
            rgb = rgb + corner.weight[..., None] * colour
        return rgb * 0.5 + 0.5
