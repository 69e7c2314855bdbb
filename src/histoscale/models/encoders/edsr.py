"""EDSR without its upsampler (Lim et al., CVPR Workshops 2017)."""

from jaxtyping import Float
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """conv3x3, ReLU, conv3x3, times ``residual_scale``, plus the input."""

    def __init__(self, channels: int, residual_scale: float = 1.0):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.residual_scale = residual_scale

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add the scaled residual to the input."""
        residual: Tensor = self.conv2(nn.functional.relu(self.conv1(x)))
        return x + (residual if self.residual_scale == 1 else residual * self.residual_scale)


class EDSREncoder(nn.Module):
    """The encoder of EDSR: conv, ``blocks`` residual blocks, conv, long skip.

    Args:
        blocks, channels, residual_scale: 16, 64, 1 for EDSR-baseline; 32, 256, 0.1 for the full EDSR.
    """

    def __init__(self, blocks: int = 16, channels: int = 64, residual_scale: float = 1.0):
        super().__init__()
        self.channels = channels
        self.halo_px = 2 * blocks + 2
        self.alignment_px = 1
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(channels, residual_scale) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        """Compute the features of an image that is normalised to [-1, 1]."""
        shallow: Tensor = self.first(image)
        deep: Tensor = self.body(shallow)
        return shallow + deep
