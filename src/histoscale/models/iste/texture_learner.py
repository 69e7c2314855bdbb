"""The texture learner (TL): a learned sine series around each cell. Fig. 5a, Eq. 3."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TextureLearner(nn.Module):
    """Eq. (3): F_TL = Amp * sin(FreqX * (X' - X) + FreqY * (Y' - Y) + Phase).

    **Convention.** FreqX goes with rows and FreqY with columns (the equation is symmetric in them); the local
    grid X' - X is measured with one low-resolution pixel as 2, and no factor pi, as in the published code.

    Args:
        channels: of F_LR.
        width: of F_TL.
    """

    def __init__(self, channels: int = 64, width: int = 256):
        super().__init__()
        self.spectrum = nn.Conv2d(channels, 3 * width, 3, padding=1)  # F_Amp, F_FreqX, F_FreqY
        self.phase = nn.Linear(2, width, bias=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c3 h w"]:
        """F_LR to F_Amp, F_FreqX and F_FreqY at low resolution, side by side."""
        spectrum: Tensor = self.spectrum(features)
        return spectrum

    def texture(
        self,
        spectrum: Float[Tensor, "g q c3"],
        offset: Float[Tensor, "g q 2"],
        cell: Float[Tensor, "g 2"],
    ) -> Float[Tensor, "g q c"]:
        """F_TL at points.

        Args:
            spectrum: of the cell each point belongs to.
            offset: of the point from that cell, one low-resolution pixel as 2.
            cell: size of an output pixel, one low-resolution pixel as 2.
        """
        amplitude, along_rows, along_columns = spectrum.chunk(3, dim=-1)
        with torch.autocast(cell.device.type, enabled=False):
            # The angle stays in the offsets' precision: bfloat16 would blur it by a hundredth of a turn.
            phase = 2 * math.pi * torch.sigmoid(self.phase(cell))[:, None]
            angle = torch.addcmul(phase, along_rows, offset[..., :1])
            angle = torch.addcmul(angle, along_columns, offset[..., 1:])
            return amplitude * torch.sin(angle)


class PlainTexture(nn.Module):
    """Table 4's row without TL: one convolution in its place, sampled at the nearest cell."""

    def __init__(self, channels: int = 64, width: int = 256):
        super().__init__()
        self.spectrum = nn.Conv2d(channels, width, 3, padding=1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c3 h w"]:
        """F_LR to features of F_TL's width."""
        spectrum: Tensor = self.spectrum(features)
        return spectrum

    def texture(
        self,
        spectrum: Float[Tensor, "g q c"],
        offset: Float[Tensor, "g q 2"],  # noqa: ARG002
        cell: Float[Tensor, "g 2"],  # noqa: ARG002
    ) -> Float[Tensor, "g q c"]:
        """The cell's features, wherever the point lies in it."""
        return spectrum
