"""Thera (Becker et al., arXiv 2311.17643): a field per cell that obeys the heat equation."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import as_rows, corners, pick

FASTEST_PER_PX = 16
"""Half periods per low-resolution pixel of the highest frequency at the start, as published."""


class TheraFeatures(NamedTuple):
    """Output of `Thera.encode`.

    Attributes:
        image: the input, for the nearest colour.
        fields: the phases of all waves, then their amplitudes for each colour; a row per cell.
    """

    image: Float[Tensor, "b 3 h w"]
    fields: Float[Tensor, "b n k4"]


class Thera(CoordinateSuperResolver):
    """Nearest colour + sum of amplitude * sin(frequency . offset + phase) * exp(-kappa t |frequency|^2).

    All cells share frequencies and kappa; one conv1x1 computes the phases and amplitudes of each cell. This
    is the smallest published size, "Air": 8 256 parameters besides the encoder and kappa. t is the square of
    the size of an output pixel: a large pixel averages fast waves, as a sensor does. Corners are not blended.

    Here each axis has its own t; the published code uses that of the height for both. The total variation
    loss of the published training is not part of the model.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.
        waves: sines per cell.

    Raises:
        ConfigError: if the encoder is unknown.
    """

    points_at_once = 4096

    def __init__(self, encoder: str = "edsr", blocks: int | None = None, channels: int = 64, waves: int = 32):
        super().__init__()
        self.waves = waves
        self.encoder = build_encoder(encoder, blocks, channels)
        self.fields = nn.Conv2d(channels, 4 * waves, 1, bias=False)
        self.frequencies = nn.Parameter(evenly_in_a_disc(waves, math.pi * FASTEST_PER_PX))
        # As published: t = 1 leaves 56 % of a wave at the Nyquist frequency of the low-resolution grid.
        self.kappa = nn.Parameter(torch.tensor(math.sqrt(math.log(4)) / (2 * math.pi**2)))
        self.halo_px = self.encoder.halo_px + 1
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> TheraFeatures:
        """Compute the field of every cell; keep the image for the nearest colour."""
        return TheraFeatures(image, as_rows(self.fields(self.encoder(image * 2 - 1))))

    def decode(
        self, features: TheraFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        image = features.image
        # A single step of 0: the cell that contains the point, instead of four corners.
        (nearest,) = corners(positions, (image.shape[2], image.shape[3]), image.dtype, steps=(0,))
        fields = pick(features.fields, nearest.cell)
        phase, amplitudes = fields.split((self.waves, 3 * self.waves), dim=-1)
        waves = self._waves(phase, nearest.offset / 2, cell.to(image))
        # The amplitudes of each colour times the shared waves, summed over the waves.
        rgb: Tensor = (amplitudes.unflatten(-1, (3, -1)) * waves[:, :, None]).sum(dim=-1)
        return pick(as_rows(image), nearest.cell) + rgb * 0.5

    def _waves(
        self, phase: Float[Tensor, "b q k"], offset: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q k"]:
        """Compute the damped sines, [b, q, k]."""
        # Angles in the precision of the offsets: bfloat16 has too few digits for them.
        with torch.autocast(cell.device.type, enabled=False):
            angle = phase.to(offset) + offset @ self.frequencies
            heat = cell.square() @ self.frequencies.square()  # t |frequency|^2, summed over the axes
            waves: Tensor = angle.sin() * torch.exp(-self.kappa * heat)[:, None]
        return waves


def evenly_in_a_disc(n: int, radius: float) -> Float[Tensor, "2 n"]:
    """Draw random points uniformly from a disc around zero."""
    # The square root makes the density uniform: area grows with the square of the distance.
    distance, angle = radius * torch.rand(n).sqrt(), 2 * math.pi * torch.rand(n)
    return torch.stack((distance * angle.cos(), distance * angle.sin()))
