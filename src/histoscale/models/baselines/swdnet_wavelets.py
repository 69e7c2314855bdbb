"""SWD-Net's second stage: the Haar coefficients of an image at two levels, corrected side by side."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.baselines.swdnet_fusion import ChannelGate, ContextFusion

BANDS = torch.tensor([[1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]]) / 2
"""LL, HL, LH, HH of the upper left, lower left, upper right and lower right pixel; orthonormal."""


def haar(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c4 i j"]:
    """Orthonormal Haar packet of a map with even sides, all channels of a band together."""
    corners = torch.stack([x[..., row::2, col::2] for row, col in ((0, 0), (1, 0), (0, 1), (1, 1))])
    bands: Tensor = torch.einsum("kp,pbcij->bkcij", BANDS.to(x), corners)
    return bands.flatten(1, 2)


def inverse_haar(bands: Float[Tensor, "b c4 i j"]) -> Float[Tensor, "b c h w"]:
    """The map that `haar` takes to ``bands``."""
    corners = torch.einsum("kp,bkcij->bcpij", BANDS.to(bands), bands.unflatten(1, (4, -1)))
    tall: Tensor = corners.unflatten(2, (2, 2)).permute(0, 1, 4, 3, 5, 2)  # b c i row j column
    return tall.flatten(4, 5).flatten(2, 3)


class Branches(nn.Module):
    """WAC: four asymmetric branches of convolutions, each followed by PReLU, summed; no residual."""

    def __init__(self, before: int, after: int):
        super().__init__()
        shapes = (((3, 3),), ((1, 3), (1, 3)), ((3, 1), (3, 1)), ((3, 3), (3, 3)))
        self.branches = nn.ModuleList(self._branch(before, after, kernels) for kernels in shapes)

    @staticmethod
    def _branch(before: int, after: int, kernels: tuple[tuple[int, int], ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for i, kernel in enumerate(kernels):
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers += [nn.Conv2d(after if i else before, after, kernel, padding=padding), nn.PReLU(after)]
        return nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        total: Tensor = sum(branch(x) for branch in self.branches)
        return total


def three_steps(bands: int, width: int) -> nn.ModuleList:
    """Encoder and decoder, three times: ``bands`` in, ``width`` between, ``bands`` out."""
    widths = ((bands, width), (width, width), (width, bands))
    return nn.ModuleList(
        nn.Sequential(Branches(before, width), Branches(width, after)) for before, after in widths
    )


class WaveletStage(nn.Module):
    """An image to its corrected first-level coefficients; their inverse transform is the output.

    Args:
        width: channels of the first level's stream; four times as many in the second's. A multiple of 4.
        released: see `ContextFusion`.
    """

    def __init__(self, width: int = 24, released: bool = False):
        super().__init__()
        gated = (12, 48, 12) if released else (12, 48)  # as released there is a third, which nothing calls
        self.gates = nn.ModuleList(ChannelGate(n, nn.PReLU(n // 2), nn.Tanh()) for n in gated)
        self.first = three_steps(12, width)
        self.second = three_steps(48, 4 * width)
        self.to_first = nn.ModuleList(ContextFusion(c, released) for c in (width, width, 12))
        self.to_second = nn.ModuleList(ContextFusion(4 * width, released) for _ in range(2))
        self.last = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 12 h w"]:
        """An image of sides that are multiples of 4."""
        coefficients = haar(image)
        one, two = self.gates[0](coefficients), self.gates[1](haar(coefficients))
        for k in range(3):
            one, two = self.first[k](one), self.second[k](two)
            fused = self.to_first[k](one, inverse_haar(two))
            if k < 2:
                two = self.to_second[k](two, haar(one))
            one = fused
        corrected: Tensor = self.last(one)
        return coefficients + corrected
