"""LTE (Lee and Jin, CVPR 2022): waves around each cell, estimated from its features, and a perceptron."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import (
    as_rows,
    blended,
    corners,
    interpolate,
    pick,
    relative_cell,
    stacked,
)


class LTEFeatures(NamedTuple):
    """Output of `LTE.encode`.

    Attributes:
        image: the input, for the bilinear skip.
        spectrum: amplitudes, frequencies along rows, frequencies along columns; a row per cell.
    """

    image: Float[Tensor, "b 3 h w"]
    spectrum: Float[Tensor, "b n c2"]


class LTE(CoordinateSuperResolver):
    """A perceptron on amplitude * [cos(pi angle), sin(pi angle)]; four corners by area, a bilinear skip.

    The angle is frequency * offset + phase; the phase is a linear function of the cell. On SwinIR, LTE has
    12 096 871 parameters as published.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.
        width: amplitudes per cell and width of the perceptron's three hidden layers; an even number.
        max_scale: decode all larger scales with the cell of this scale, as the published code does. None: no
            limit.

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
        max_scale: float | None = 4.0,
    ):
        super().__init__()
        self.width, self.max_scale = width, max_scale
        self.encoder = build_encoder(encoder, blocks, channels)
        self.spectrum = nn.Conv2d(channels, 2 * width, 3, padding=1)
        # The phase of a wave depends on the scale alone, one for each frequency.
        self.phase = nn.Linear(2, width // 2, bias=False)
        hidden = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 3))
        self.halo_px = self.encoder.halo_px + 2
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> LTEFeatures:
        """Compute the spectrum of every cell; keep the image for the skip."""
        return LTEFeatures(image, as_rows(self.spectrum(self.encoder(image * 2 - 1))))

    def decode(
        self, features: LTEFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        image = features.image
        size = (image.shape[2], image.shape[3])
        # The four corners of each point in one pass, [b, 4 q, ..].
        corner = stacked(corners(positions, size, image.dtype))
        waves = self._waves(pick(features.spectrum, corner.cell), corner.offset, cell.to(image))
        rgb = blended(self.layers(waves), corner)
        return interpolate(as_rows(image), positions, size) + rgb * 0.5

    def _waves(
        self, spectrum: Float[Tensor, "b k c2"], offset: Float[Tensor, "b k 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b k c"]:
        """Compute the input of the perceptron."""
        # As many frequencies per axis as there are cosines, half of the amplitudes.
        half = self.width // 2
        amplitude, along_rows, along_columns = spectrum.split((self.width, half, half), dim=-1)
        # Angles in the precision of the offsets: bfloat16 has too few digits for them.
        with torch.autocast(cell.device.type, enabled=False):
            angle = self.phase(relative_cell(cell, self.max_scale))[:, None]
            angle = torch.addcmul(angle, along_rows, offset[..., :1])
            angle = torch.addcmul(angle, along_columns, offset[..., 1:]) * math.pi
            waves: Tensor = amplitude * torch.cat((angle.cos(), angle.sin()), dim=-1)
        return waves
