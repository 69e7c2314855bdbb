"""ITSRN (Yang et al., NeurIPS 2021): an implicit transformer that computes a filter for every point."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import CORNERS, as_rows, corners, pick, stacked


class ITSRNFeatures(NamedTuple):
    """Output of `ITSRN.encode`.

    Attributes:
        image: the input.
        projected: the features times the last layer of the perceptron; a row per cell.
    """

    image: Float[Tensor, "b 3 h w"]
    projected: Float[Tensor, "b n c"]


class ITSRN(CoordinateSuperResolver):
    """The 3x3 features of each corner times a filter that a perceptron computes from offset and cell.

    The filter is a hidden layer times a matrix [9 channels x 3, width]. The product of features and matrix is
    a conv3x3, which is computed once per low-resolution pixel; each point and corner then needs a product of
    ``width`` numbers per colour. The numbers are the same. On SwinIR, ITSRN has 12 248 358 parameters as
    published.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.
        width: width of the perceptrons' hidden layers.
        shift_of_px: in the published code a corner is half a pixel away plus a small shift, which depends on
            the height of the image. Here the shift is always that of an image of this height, the height of
            the training patches, so that tiles and whole image agree.

    Raises:
        ConfigError: if the encoder is unknown.
    """

    points_at_once = 512  # each has four corners

    def __init__(
        self,
        encoder: str = "edsr",
        blocks: int | None = None,
        channels: int = 64,
        width: int = 256,
        shift_of_px: int = 48,
    ):
        super().__init__()
        self.shift_of_px = shift_of_px
        self.encoder = build_encoder(encoder, blocks, channels)
        hidden = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.GELU())]
        self.places = nn.Sequential(nn.Linear(4, width), nn.GELU(), *hidden)
        # The last layer of the perceptron as a convolution: its matrix and, last, its bias, per colour.
        self.filters = nn.Conv2d(channels, 3 * (width + 1), 3, padding=1, bias=False)
        nn.init.uniform_(self.filters.weight, -1 / math.sqrt(width), 1 / math.sqrt(width))
        self.score = nn.Sequential(nn.Linear(2, width), nn.GELU(), nn.Linear(width, 1))
        self.fuse = nn.Sequential(nn.Linear(len(CORNERS), width), nn.GELU(), nn.Linear(width, 1))
        self.halo_px = self.encoder.halo_px + 2
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> ITSRNFeatures:
        """Compute the features times the matrix of the filters."""
        return ITSRNFeatures(image, as_rows(self.filters(self.encoder(image * 2 - 1))))

    def decode(
        self, features: ITSRNFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        image = features.image
        # Half a pixel, 1 in the units of `corners`, plus the shift of the published code.
        reach = 1 + (1 - cell.to(torch.float64)[:, None]) / (self.shift_of_px - 1)
        corner = stacked(corners(positions, (image.shape[2], image.shape[3]), image.dtype, reach=reach))
        # The cell as published: half of `relative_cell`.
        cells = cell.to(image)[:, None].expand_as(corner.offset)
        place = self.places(torch.cat((corner.offset, cells), dim=-1))
        # Features * (matrix * place + bias), with the features already multiplied: [b, 4 q, 3].
        filters = pick(features.projected, corner.cell).unflatten(-1, (3, -1))
        colours = (filters[..., :-1] @ place[..., None])[..., 0] + filters[..., -1]
        # A score per corner replaces the area weights; a perceptron over the four corners fuses them.
        proposed = (colours + self.score(corner.offset)).unflatten(1, (len(CORNERS), -1))
        rgb: Tensor = self.fuse(proposed.movedim(1, -1))
        return rgb[..., 0] * 0.5 + 0.5
