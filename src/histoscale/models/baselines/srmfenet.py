"""SRMFENet (Xie et al., SHISRCNet, MICCAI 2023): a weighted cascade of dilated convolutions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.models.baselines.fixed_scale import SHUFFLE_FACTORS, FixedScale
from histoscale.models.windows import in_windows

DILATIONS = (1, 2, 4, 8)
SLOPE = 0.1


def normalised(channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Build a convolution without bias, batch normalisation and ReLU."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def gate(channels: int, form: str) -> nn.Module:
    """Build the layers from the mean of a map to its logits, see `SRMFENet`."""
    if form == "published":
        return nn.Conv2d(channels, channels, 1, bias=False)
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())


class MultiFeatures(nn.Module):
    """Multi-features extraction: a cascade of four scales, weighted per channel by gates.

    Args:
        channels: channels of input and output.
        gates: see `SRMFENet`.
    """

    def __init__(self, channels: int, gates: str):
        super().__init__()
        self.scales = nn.ModuleList(normalised(channels, 3, dilation) for dilation in DILATIONS)
        self.gates = nn.ModuleList(gate(channels, gates) for _ in DILATIONS)
        self.fuse = normalised(channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Compute the features of all scales and add their weighted sum to the input."""
        features: list[Tensor] = []
        for layer in self.scales:
            # The input of a scale is the output of the previous scale plus the input of the block.
            features.append(layer(features[-1] + x if features else x))
        # A gate computes a logit per channel from the mean over the whole map, [b, c, 1, 1].
        logits = [
            score(y.mean(dim=(2, 3), keepdim=True)) for score, y in zip(self.gates, features, strict=True)
        ]
        # Weights per scale and channel, which sum to 1 over the scales: [4, b, c, 1, 1].
        shares = torch.stack(logits).sigmoid().softmax(dim=0)
        # The weighted sum of the scales, plus the input, fused by a conv1x1.
        mixed: Tensor = self.fuse((shares * torch.stack(features)).sum(dim=0) + x)
        return mixed


def leaky_upsampler(channels: int, scale: int) -> nn.Sequential:
    """Build a conv3x3, a pixel shuffle and a leaky ReLU per factor, then two conv3x3 to RGB."""
    layers: list[nn.Module] = []
    for factor in SHUFFLE_FACTORS[scale]:
        wide = nn.Conv2d(channels, channels * factor**2, 3, padding=1)
        layers += [wide, nn.PixelShuffle(factor), nn.LeakyReLU(SLOPE)]
    layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1, bias=False))


class SRMFENet(FixedScale):
    """The super-resolution part of SHISRCNet.

    **Tiles.** The gates depend on means over the whole input. The network is therefore applied to windows of
    one size, which are blended (`histoscale.models.windows`), so that pixels do not depend on the tiles.

    Args:
        scale: 2, 3 or 4.
        blocks, channels: multi-features blocks and their width, 3 and 64 as published.
        gates: ``published``: a conv1x1 without bias, as in the paper's figure. ``released``: with bias,
            normalisation and ReLU, as the public code computes them, because there a second class of the same
            name replaces the published one.
        window_px: side of a window in low-resolution pixels; a quarter of it overlaps the next window.

    Raises:
        ConfigError: if the gates are unknown.
    """

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 3,
        channels: int = 64,
        gates: str = "published",
        window_px: int = 128,
    ):
        super().__init__(scale)
        if gates not in ("published", "released"):
            raise ConfigError(f"SRMFENet has no gates {gates!r}: use published or released.")
        self.released = gates == "released"
        self.window_px = window_px
        # Windows start at multiples of their stride; the one before a tile overlaps it.
        self.halo_px = self.alignment_px = window_px - window_px // 4
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(MultiFeatures(channels, gates) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.upsampler = leaky_upsampler(channels, scale)

    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size.

        Raises:
            ConfigError: in training with released gates on a batch of one image, which has no variance.
        """
        if self.training and self.released and len(image) == 1:
            raise ConfigError(
                'Gates "released" are normalised over the batch: train with a batch of at least 2, not 1.'
            )
        return in_windows(self.network, image, self.window_px, self.window_px // 4, scale=self.scale)

    def network(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale one window to ``scale`` times its size."""
        shallow: Tensor = self.first(image)
        out: Tensor = self.upsampler(shallow + self.body(shallow))
        return out
