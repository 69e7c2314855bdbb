"""SWD-Net (Chen et al.): the spatial wavelet dual-stream network, on pixels and on wavelet coefficients.

From the parts to the whole: `ContextFusion` exchanges context between two streams; `SpatialStage` is the
first stage, on pixels; `haar` is the wavelet transform; `WaveletStage` is the second stage, on the
coefficients; `SWDNet` is the model.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.models.baselines.fixed_scale import FixedScale
from histoscale.models.windows import in_windows

FUSIONS = 3
"""Number of exchanges of context between two streams."""
MULTIPLE_PX = 4
"""The sides of a window are multiples of this, because of two wavelet levels and halved features."""


# --- context between two streams ---------------------------------------------------------------------------


class ChannelGate(nn.Module):
    """Squeeze and excitation: multiply each channel by a factor computed from the means of all channels.

    Args:
        channels: channels of the map.
        squeezed: activation after the first layer, which halves the width.
        share: activation after the second layer.
    """

    def __init__(self, channels: int, squeezed: nn.Module, share: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, channels // 2), squeezed, nn.Linear(channels // 2, channels), share
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Multiply each channel by its factor, [b, c]."""
        share: Tensor = self.layers(x.mean(dim=(2, 3)))
        return x * share[..., None, None]


class ContextFusion(nn.Module):
    """RCF: the gated features of a stream plus a vector of context from the other stream.

    The context is a mean of the other stream over all positions, weighted by the attention of this stream.
    The released code returns the gated features without the context, so its layers of the second stream get
    no gradient.

    Args:
        channels: channels of both streams.
        released: compute the same as the released code, with the same parameters.
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
        """Add the context of ``other`` to the gated ``own``."""
        gated: Tensor = self.gate(own)
        if self.released:
            return gated
        # A weight per position, computed from the own stream; the weights of an image sum to 1: [b, 1, n].
        weights = self.attend(own).flatten(2).softmax(dim=2)
        # The weighted mean of the other stream, one vector per image, is added at every position.
        pooled: Tensor = torch.einsum("bcn,bn->bc", other.flatten(2), weights[:, 0])
        context: Tensor = self.transform(pooled[..., None, None])
        return gated + context


# --- first stage: pixels -----------------------------------------------------------------------------------


def conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution and a PReLU with a slope per channel."""
    return nn.Sequential(nn.Conv2d(before, after, kernel, stride, padding=kernel // 2), nn.PReLU(after))


class PReLUResidualBlock(nn.Module):
    """conv3x3, PReLU, conv3x3, plus the input, PReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1))
        self.activation = nn.PReLU(channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Apply both convolutions, add the input, apply PReLU."""
        out: Tensor = self.activation(self.layers(x) + x)
        return out


class DualStream(nn.Module):
    """Two streams, at full and at half resolution, which exchange context three times.

    Args:
        channels: channels of both streams.
        blocks: residual blocks of each stream before each exchange.
        released: see `ContextFusion`.
    """

    def __init__(self, channels: int, blocks: int, released: bool):
        super().__init__()

        def residual() -> nn.Sequential:
            """Build the residual blocks of one stream before one exchange."""
            return nn.Sequential(*(PReLUResidualBlock(channels) for _ in range(blocks)))

        self.halve = conv(channels, channels, stride=2)
        self.high = nn.ModuleList(residual() for _ in range(FUSIONS))
        self.low = nn.ModuleList(residual() for _ in range(FUSIONS))
        self.upward = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(FUSIONS))
        self.downward = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(FUSIONS - 1)
        )
        self.to_high = nn.ModuleList(ContextFusion(channels, released) for _ in range(FUSIONS))
        # The released code has one more, which it does not use.
        fusions = FUSIONS if released else FUSIONS - 1
        self.to_low = nn.ModuleList(ContextFusion(channels, released) for _ in range(fusions))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Compute the full-resolution stream of a map with even sides."""
        high, low = x, self.halve(x)
        for k in range(FUSIONS):
            high, low = self.high[k](high), self.low[k](low)
            # Both exchanges use the features before the exchange, so `high` is replaced last.
            fused = self.to_high[k](high, nn.functional.interpolate(self.upward[k](low), scale_factor=2))
            if k < FUSIONS - 1:
                low = nn.functional.leaky_relu(self.to_low[k](low, self.downward[k](high)), 0.1)
            high = nn.functional.leaky_relu(fused, 0.1)
        return high


class SpatialStage(nn.Module):
    """Residual features, two dual-stream modules and a pixel shuffle, added to the nearest-neighbour image.

    Args:
        scale: factor of the pixel shuffle.
        channels: channels of both streams; the first layers have twice as many.
        blocks, released: see `DualStream`, `ContextFusion`.
    """

    def __init__(self, scale: int, channels: int, blocks: int, released: bool):
        super().__init__()
        c = channels
        self.scale = scale
        self.first = nn.Sequential(
            conv(3, 2 * c), PReLUResidualBlock(2 * c), conv(2 * c, c), PReLUResidualBlock(c)
        )
        self.streams = nn.ModuleList(DualStream(c, blocks, released) for _ in range(2))
        self.join = conv(2 * c, c)
        self.upsampler = nn.Sequential(
            nn.Conv2d(c, c * scale**2, 3, padding=1), nn.PixelShuffle(scale),
            conv(c, c), conv(c, c, kernel=1), nn.Conv2d(c, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale an image with even sides."""
        x = self.first(image)
        # Both modules keep their input as a skip; their outputs are concatenated.
        one = self.streams[0](x) + x
        two = self.streams[1](one) + one
        out: Tensor = self.upsampler(self.join(torch.cat([one, two], dim=1)))
        return out + nn.functional.interpolate(image, scale_factor=self.scale)


# --- second stage: wavelet coefficients --------------------------------------------------------------------


BANDS = torch.tensor([[1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]]) / 2
"""Rows: the bands LL, HL, LH, HH. Columns: upper left, lower left, upper right and lower right pixel."""


def haar(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c4 i j"]:
    """Transform a map with even sides to its orthonormal Haar bands; the channels of a band are adjacent."""
    # The four pixels of each 2 x 2 block in the order of the columns of `BANDS`: [4, b, c, i, j].
    corners = torch.stack([x[..., row::2, col::2] for row, col in ((0, 0), (1, 0), (0, 1), (1, 1))])
    bands: Tensor = torch.einsum("kp,pbcij->bkcij", BANDS.to(x), corners)
    return bands.flatten(1, 2)


def inverse_haar(bands: Float[Tensor, "b c4 i j"]) -> Float[Tensor, "b c h w"]:
    """Invert `haar`."""
    # The matrix is orthonormal, so its inverse is its transpose. Bands are the outer axis of the channels.
    corners = torch.einsum("kp,bkcij->bcpij", BANDS.to(bands), bands.unflatten(1, (4, -1)))
    tall: Tensor = corners.unflatten(2, (2, 2)).permute(0, 1, 4, 3, 5, 2)  # b c i row j column
    return tall.flatten(4, 5).flatten(2, 3)


class AsymmetricConvolutions(nn.Module):
    """WAC: the sum of four branches of square, row and column convolutions with PReLU; no residual."""

    def __init__(self, before: int, after: int):
        super().__init__()
        # Kernels of each branch: 3x3; two 1x3; two 3x1; two 3x3.
        shapes = (((3, 3),), ((1, 3), (1, 3)), ((3, 1), (3, 1)), ((3, 3), (3, 3)))
        self.branches = nn.ModuleList(self._branch(before, after, kernels) for kernels in shapes)

    @staticmethod
    def _branch(before: int, after: int, kernels: tuple[tuple[int, int], ...]) -> nn.Sequential:
        """Build a convolution and a PReLU per kernel."""
        layers: list[nn.Module] = []
        for i, kernel in enumerate(kernels):
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers += [nn.Conv2d(after if i else before, after, kernel, padding=padding), nn.PReLU(after)]
        return nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Sum the branches."""
        total: Tensor = sum(branch(x) for branch in self.branches)
        return total


def three_steps(bands: int, width: int) -> nn.ModuleList:
    """Build the layers before each exchange of context: ``bands`` channels in and out, ``width`` between."""
    widths = ((bands, width), (width, width), (width, bands))
    return nn.ModuleList(
        nn.Sequential(AsymmetricConvolutions(before, width), AsymmetricConvolutions(width, after))
        for before, after in widths
    )


class WaveletStage(nn.Module):
    """Correct the first-level coefficients of an image; their inverse transform is the output.

    Args:
        width: channels of the first level's stream, a multiple of 4; the second has four times as many.
        released: see `ContextFusion`.
    """

    def __init__(self, width: int = 24, released: bool = False):
        super().__init__()
        gated = (12, 48, 12) if released else (12, 48)  # the released code does not use its third
        self.gates = nn.ModuleList(ChannelGate(n, nn.PReLU(n // 2), nn.Tanh()) for n in gated)
        self.first = three_steps(12, width)
        self.second = three_steps(48, 4 * width)
        self.to_first = nn.ModuleList(ContextFusion(c, released) for c in (width, width, 12))
        self.to_second = nn.ModuleList(ContextFusion(4 * width, released) for _ in range(2))
        self.last = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 12 h w"]:
        """Compute the corrected coefficients of an image whose sides are multiples of 4."""
        coefficients = haar(image)  # level 1, [b, 12, H / 2, W / 2]; level 2 has 48 channels
        one, two = self.gates[0](coefficients), self.gates[1](haar(coefficients))
        for k in range(3):
            one, two = self.first[k](one), self.second[k](two)
            # Each stream gets the context of the other at its own resolution; the last time only the first.
            fused = self.to_first[k](one, inverse_haar(two))
            if k < 2:
                two = self.to_second[k](two, haar(one))
            one = fused
        corrected: Tensor = self.last(one)
        return coefficients + corrected


# --- the model ---------------------------------------------------------------------------------------------


class Stages(NamedTuple):
    """The outputs of both stages, which the published loss compares with the ground truth.

    Attributes:
        spatial: the image of the first stage.
        coefficients: its first-level Haar coefficients, corrected by the second stage.
        output: the inverse transform of ``coefficients``.
    """

    spatial: Float[Tensor, "b 3 H W"]
    coefficients: Float[Tensor, "b 12 i j"]
    output: Float[Tensor, "b 3 H W"]


class SWDNet(FixedScale):
    """SWD-Net: the spatial stage, then the wavelet stage on its output.

    **Tiles.** Gates and contexts depend on means over the whole input. The network is therefore applied to
    windows of one size, which are blended (`histoscale.models.windows`), so that pixels do not depend on the
    tiles. A patch of HistoSR, of at most 96 low-resolution pixels, fits one window.

    Args:
        scale: 2 as published; 3 and 4 with a wider pixel shuffle.
        channels, blocks: width and blocks of the spatial stage, 32 and 4 as published.
        width: width of the wavelet stage's first level, 24 as published; a multiple of 4.
        fusion: ``published``: with context from the other stream. ``released``: without it, as the public
            code computes. At x2 527 020 and 1 880 723 parameters of the two stages then have no effect; 4522
            of them are in modules that the code does not use.
        window_px: side of a window in low-resolution pixels; a quarter of it overlaps the next window.

    Raises:
        ConfigError: if the fusion is unknown.
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
            raise ConfigError(f"SWD-Net has no fusion {fusion!r}: use published or released.")
        self.window_px = window_px
        self.halo_px = self.alignment_px = window_px - window_px // 4
        self.spatial = SpatialStage(scale, channels, blocks, fusion == "released")
        self.wavelets = WaveletStage(width, fusion == "released")

    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size."""

        def output(window: Tensor) -> Tensor:
            """Apply both stages and keep the image."""
            return self.stages(window).output

        overlap_px = self.window_px // 4
        return in_windows(
            output, image, self.window_px, overlap_px, scale=self.scale, multiple_px=MULTIPLE_PX
        )

    def stages(self, image: Float[Tensor, "b 3 h w"]) -> Stages:
        """Apply both stages to one window, whose sides are multiples of 4."""
        spatial = self.spatial(image)
        coefficients = self.wavelets(spatial)
        return Stages(spatial, coefficients, inverse_haar(coefficients))
