"""RDN without its upsampler (Zhang et al., CVPR 2018), configuration B."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class DenseBlock(nn.Module):
    """``layers`` times conv3x3, ReLU and concatenation, then a conv1x1 that fuses them, plus the input."""

    def __init__(self, channels: int, growth: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(channels + growth * i, growth, 3, padding=1) for i in range(layers)
        )
        self.fuse = nn.Conv2d(channels + growth * layers, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Compute the fused features and add the input."""
        dense = x
        for layer in self.layers:
            dense = torch.cat([dense, nn.functional.relu(layer(dense))], dim=1)
        fused: Tensor = self.fuse(dense)
        return x + fused


class RDNEncoder(nn.Module):
    """The encoder of RDN: two convs, ``blocks`` dense blocks, a fusion of all their outputs, long skip.

    Args:
        blocks: dense blocks, 16 in configuration B.
        channels: channels of every block and of the output, and the growth of the dense blocks; 64 in
            configuration B.
        layers: convolutions per dense block, 8 in configuration B.
    """

    def __init__(self, blocks: int = 16, channels: int = 64, layers: int = 8):
        super().__init__()
        self.channels = channels
        self.halo_px = blocks * layers + 3
        self.alignment_px = 1
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(channels, channels, layers) for _ in range(blocks))
        self.fuse = nn.Sequential(
            nn.Conv2d(channels * blocks, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        """Compute the features of an image that is normalised to [-1, 1]."""
        shallow: Tensor = self.first(image)
        x: Tensor = self.second(shallow)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep: Tensor = self.fuse(torch.cat(outputs, dim=1))
        return shallow + deep
