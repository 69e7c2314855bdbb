"""SWD-Net (Chen et al., spatial wavelet dual-stream network): pixels, then their wavelet coefficients."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.models.baselines.fixed_scale import FixedScale
from histoscale.models.baselines.swdnet_fusion import ContextFusion
from histoscale.models.baselines.swdnet_wavelets import WaveletStage, inverse_haar
from histoscale.models.windows import in_windows

FUSIONS = 3
MULTIPLE_PX = 4
"""Two wavelet levels at any scale, and two resolutions of features."""


class Stages(NamedTuple):
    """What `SWDNet.stages` makes; the published loss compares all three.

    Attributes:
        spatial: the first stage's image.
        coefficients: its first-level Haar coefficients, corrected by the second stage.
        output: their inverse transform.
    """

    spatial: Float[Tensor, "b 3 H W"]
    coefficients: Float[Tensor, "b 12 i j"]
    output: Float[Tensor, "b 3 H W"]


def conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution and a PReLU with a slope per channel."""
    return nn.Sequential(nn.Conv2d(before, after, kernel, stride, padding=kernel // 2), nn.PReLU(after))


class ResidualBlock(nn.Module):
    """conv3x3, PReLU, conv3x3, plus the input, PReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1))
        self.activation = nn.PReLU(channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        out: Tensor = self.activation(self.layers(x) + x)
        return out


class DualStream(nn.Module):
    """Full and half resolution side by side, exchanging context three times.

    Args:
        channels: of both streams.
        blocks: residual blocks of each before every exchange.
        released: see `ContextFusion`.
    """

    def __init__(self, channels: int, blocks: int, released: bool):
        super().__init__()

        def residual() -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

        self.halve = conv(channels, channels, stride=2)
        self.high = nn.ModuleList(residual() for _ in range(FUSIONS))
        self.low = nn.ModuleList(residual() for _ in range(FUSIONS))
        self.upward = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(FUSIONS))
        self.downward = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(FUSIONS - 1)
        )
        self.to_high = nn.ModuleList(ContextFusion(channels, released) for _ in range(FUSIONS))
        # as released there is a last one, which nothing calls
        fusions = FUSIONS if released else FUSIONS - 1
        self.to_low = nn.ModuleList(ContextFusion(channels, released) for _ in range(fusions))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A map with even sides."""
        high, low = x, self.halve(x)
        for k in range(FUSIONS):
            high, low = self.high[k](high), self.low[k](low)
            fused = self.to_high[k](high, nn.functional.interpolate(self.upward[k](low), scale_factor=2))
            if k < FUSIONS - 1:
                low = nn.functional.leaky_relu(self.to_low[k](low, self.downward[k](high)), 0.1)
            high = nn.functional.leaky_relu(fused, 0.1)
        return high


class SpatialStage(nn.Module):
    """Residual features, two dual-stream modules, a pixel shuffle; added to the nearest enlargement.

    Args:
        scale: of the shuffle, whose convolution is as wide as that takes.
        channels: features after the first two layers; those have twice as many.
        blocks, released: see `DualStream`, `ContextFusion`.
    """

    def __init__(self, scale: int, channels: int, blocks: int, released: bool):
        super().__init__()
        c = channels
        self.scale = scale
        self.first = nn.Sequential(conv(3, 2 * c), ResidualBlock(2 * c), conv(2 * c, c), ResidualBlock(c))
        self.streams = nn.ModuleList(DualStream(c, blocks, released) for _ in range(2))
        self.join = conv(2 * c, c)
        self.upsampler = nn.Sequential(
            nn.Conv2d(c, c * scale**2, 3, padding=1), nn.PixelShuffle(scale),
            conv(c, c), conv(c, c, kernel=1), nn.Conv2d(c, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """An image with even sides."""
        x = self.first(image)
        one = self.streams[0](x) + x
        two = self.streams[1](one) + one
        out: Tensor = self.upsampler(self.join(torch.cat([one, two], dim=1)))
        return out + nn.functional.interpolate(image, scale_factor=self.scale)


class SWDNet(FixedScale):
    """Both stages.

    **Tiles.** Gates and contexts are means over all that the network sees, so it is shown windows of one
    size, blended (`histoscale.models.windows`): the pixels are the same whatever the tile. HistoSR's whole
    patches, of at most 96 low-resolution pixels, are one window.

    Args:
        scale: 2 as published; 3 and 4 by a wider shuffle.
        channels, blocks: of the spatial stage, 32 and 4.
        width: of the wavelet stage's first level, 24; a multiple of 4.
        fusion: ``published``, with context from the other stream; ``released``, as the public code runs:
            without, so that 527 020 and 1 880 723 parameters of the two stages at x2 do nothing, 4522 of
            them in modules that nothing calls.
        window_px: side of a window in low-resolution pixels; a quarter of it fades into the next.

    Raises:
        ConfigError: for another fusion.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 32,
        blocks: int = 4,
        width: int = 24,
        fusion: str = "published",
        window_px: int = 128,
    ):
        super().__init__(scale)
        if fusion not in ("published", "released"):
            raise ConfigError(f"Unknown fusion {fusion!r}: wanted published or released.")
        self.window_px = window_px
        self.halo_px = self.alignment_px = window_px - window_px // 4
        self.spatial = SpatialStage(scale, channels, blocks, fusion == "released")
        self.wavelets = WaveletStage(width, fusion == "released")

    def enlarge(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """``image`` at ``scale`` times its size."""

        def output(window: Tensor) -> Tensor:
            return self.stages(window).output

        overlap_px = self.window_px // 4
        return in_windows(
            output, image, self.window_px, overlap_px, scale=self.scale, multiple_px=MULTIPLE_PX
        )

    def stages(self, image: Float[Tensor, "b 3 h w"]) -> Stages:
        """Both stages on one window of sides that are multiples of 4."""
        spatial = self.spatial(image)
        coefficients = self.wavelets(spatial)
        return Stages(spatial, coefficients, inverse_haar(coefficients))
