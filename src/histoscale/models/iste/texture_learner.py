"""The texture learner (TL): a learned sine wave per channel around each cell (Fig. 5a, Eq. 3)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TextureLearner(nn.Module):
    """Eq. (3): F_TL = Amp * sin(FreqX * (X' - X) + FreqY * (Y' - Y) + Phase).

    **Convention.** FreqX belongs to rows and FreqY to columns; the equation is symmetric in them. In X' - X a
    low-resolution pixel measures 2, and there is no factor pi, as in the published code.

    Args:
        channels: channels of F_LR.
        width: channels of F_TL.
    """

    def __init__(self, channels: int = 64, width: int = 256):
        super().__init__()
        self.spectrum = nn.Conv2d(channels, 3 * width, 3, padding=1)  # F_Amp, F_FreqX, F_FreqY
        self.phase = nn.Linear(2, width, bias=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c3 h w"]:
        """Compute F_Amp, F_FreqX and F_FreqY from F_LR, concatenated along the channels."""
        spectrum: Tensor = self.spectrum(features)
        return spectrum

    def texture(
        self,
        spectrum: Float[Tensor, "g q c3"],
        offset: Float[Tensor, "g q 2"],
        cell: Float[Tensor, "g 2"],
    ) -> Float[Tensor, "g q c"]:
        """Compute F_TL at points.

        Args:
            spectrum: F_Amp, F_FreqX and F_FreqY of the cell of each point.
            offset: X' - X and Y' - Y, where a low-resolution pixel measures 2.
            cell: size of an output pixel, where a low-resolution pixel measures 2.
        """
        # F_Amp, F_FreqX, F_FreqY, each [g, q, c].
        amplitude, along_rows, along_columns = spectrum.chunk(3, dim=-1)
        with torch.autocast(cell.device.type, enabled=False):
            # In the precision of the offsets: bfloat16 would change the angle by a hundredth of a period.
            # Phase, in (0, 2 pi), depends on the scale alone: [g, 1, c].
            phase = 2 * math.pi * torch.sigmoid(self.phase(cell))[:, None]
            # FreqX (X' - X) + FreqY (Y' - Y) + Phase, without intermediate tensors.
            angle = torch.addcmul(phase, along_rows, offset[..., :1])
            angle = torch.addcmul(angle, along_columns, offset[..., 1:])
            return amplitude * torch.sin(angle)


class PlainTexture(nn.Module):
    """One convolution in place of TL, sampled at the nearest cell: the row "without TL" of Table 4."""

    def __init__(self, channels: int = 64, width: int = 256):
        super().__init__()
        self.spectrum = nn.Conv2d(channels, width, 3, padding=1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c3 h w"]:
        """Compute features of F_TL's width from F_LR."""
        spectrum: Tensor = self.spectrum(features)
        return spectrum

    def texture(
        self,
        spectrum: Float[Tensor, "g q c"],
        offset: Float[Tensor, "g q 2"],  # noqa: ARG002
        cell: Float[Tensor, "g 2"],  # noqa: ARG002
    ) -> Float[Tensor, "g q c"]:
        """Return the features of the cell, the same for all its points."""
        return spectrum
