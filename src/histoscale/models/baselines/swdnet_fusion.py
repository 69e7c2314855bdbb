"""SWD-Net's refined context fusion: what one stream takes from another."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ChannelGate(nn.Module):
    """Squeeze and excitation: each channel times a share found from the means of all.

    Args:
        channels: of the map.
        squeezed, share: activation of the narrow layer, and of the last.
    """

    def __init__(self, channels: int, squeezed: nn.Module, share: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, channels // 2), squeezed, nn.Linear(channels // 2, channels), share
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        share: Tensor = self.layers(x.mean(dim=(2, 3)))
        return x * share[..., None, None]


class ContextFusion(nn.Module):
    """RCF: a stream's own gated features, plus one vector of context from the other stream.

    The context is a mean of the other stream, weighted where this stream attends. In the released code the
    sum is lost and the gated features alone come back, so that whatever feeds the second stream never learns.

    Args:
        channels: of both streams.
        released: as the released code computes it; the same parameters.
    """

    def __init__(self, channels: int, released: bool = False):
        super().__init__()
        self.released = released
        self.gate = ChannelGate(channels, nn.ReLU(), nn.Sigmoid())
        self.attend = nn.Conv2d(channels, 1, 1)
        self.transform = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1), nn.ReLU(), nn.Conv2d(channels // 2, channels, 1)
        )
        nn.init.kaiming_normal_(self.attend.weight, mode="fan_in")
        for parameter in self.transform[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, own: Float[Tensor, "b c h w"], other: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        gated: Tensor = self.gate(own)
        if self.released:
            return gated
        weights = self.attend(own).flatten(2).softmax(dim=2)
        pooled: Tensor = torch.einsum("bcn,bn->bc", other.flatten(2), weights[:, 0])
        context: Tensor = self.transform(pooled[..., None, None])
        return gated + context
