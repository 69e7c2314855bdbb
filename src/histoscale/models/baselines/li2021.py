"""Li et al. (Comput. Biol. Med. 2021): a U-Net that sharpens the bicubic image, and a discriminator."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_render
from histoscale.models.baselines.fixed_scale import FixedScale
from histoscale.models.windows import in_windows

DEPTH_PX = 16
"""The U-Net halves its input four times."""


def conv_block(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution, PReLU with one slope and a conv1x1 without bias."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=1),
        nn.PReLU(),
        nn.Conv2d(after, after, 1, bias=False),
    )


class Down(nn.Module):
    """Halve the size: a block of kernel 4 and stride 2, plus a conv1x1 of stride 2, then PReLU."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.block = conv_block(before, after, kernel=4, stride=2)
        self.skip = nn.Conv2d(before, after, 1, bias=False)
        self.activation = nn.PReLU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        # Slice the pixels of a stride of 2: in torch 2.13 a conv1x1 with stride corrupts memory in the
        # channels-last backward pass.
        out: Tensor = self.activation(self.block(x) + self.skip(x[..., ::2, ::2]))
        return out


class Up(nn.Module):
    """Double the size bilinearly with aligned corners: a block plus a conv1x1."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.block = conv_block(before, after)
        self.skip = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        out: Tensor = self.block(x) + self.skip(x)
        return out


class UNet(nn.Module):
    """Halve four times, double three times, then shuffle pixels; no normalisation, no skip from the input.

    Args:
        width: channels at half the size; each further halving doubles them.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        c = width
        # Channels at 1/2, 1/4, 1/8 and 1/16 of the size: c, 2c, 4c, 8c.
        self.down = nn.ModuleList(Down(i, o) for i, o in ((3, c), (c, 2 * c), (2 * c, 4 * c), (4 * c, 8 * c)))
        self.side = nn.ModuleList(conv_block(k * c, 2 * k * c) for k in (1, 2, 4))
        self.up = nn.ModuleList(Up(i * c, o * c) for i, o in ((4, 1), (8, 2), (8, 4)))
        self.last = nn.Sequential(nn.Conv2d(2 * c, 12, 1), nn.PixelShuffle(2))

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Sharpen an image whose sides are multiples of 16."""
        # Downwards, keeping the map of each level.
        levels: list[Tensor] = []
        x = image
        for down in self.down:
            x = down(x)
            levels.append(x)
        # Upwards: the doubled map beside the level's own, plus a block of the level.
        for k in (2, 1, 0):
            level = levels[k]
            x = torch.cat([self.up[k](x), level], dim=1) + self.side[k](level)
        out: Tensor = self.last(x)
        return out


class Li2021(FixedScale):
    """The generator: a U-Net on the bicubic image, with the same architecture at every scale.

    **Tiles.** A resize with aligned corners makes every pixel depend on the size of the input. As published,
    the U-Net is applied to windows of 224 output pixels with a stride of 192, which are blended (see
    `in_windows`).

    Args:
        scale: 2, 3 or 4.
        width: channels of the first level of the U-Net.
        window_px: side of a window in output pixels. A seventh of it overlaps the next window. The stride,
            192 by default, is a multiple of each scale.
    """

    def __init__(self, scale: int = 4, width: int = 64, window_px: int = 224):
        super().__init__(scale)
        self.window_px = window_px
        # Windows start at multiples of the stride. The previous window starts one stride before a tile and
        # overlaps it.
        self.halo_px = self.alignment_px = (window_px - window_px // 7) // scale
        self.network = UNet(width)

    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size."""
        h, w = image.shape[-2:]
        rows, cols = (output_positions(n * self.scale, n).to(image.device) for n in (h, w))
        return self.sharpen(bicubic_render(image, rows, cols))

    def sharpen(self, interpolated: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Sharpen an image that was interpolated to any size."""
        return in_windows(
            self.network, interpolated, self.window_px, self.window_px // 7, multiple_px=DEPTH_PX
        )


class PatchGAN(nn.Module):
    """The discriminator: tell real from generated images, given the interpolated image.

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((6, width), (width, 2 * width), (2 * width, 4 * width), (4 * width, 8 * width)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        # An even kernel at stride 1 would lose a row and a column: pad them at the top and on the left.
        layers += [nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8 * width, 1, 4, padding=1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, candidate: Float[Tensor, "b 3 H W"], interpolated: Float[Tensor, "b 3 H W"]
    ) -> Float[Tensor, "b 1 i j"]:
        """Score each patch of 16 x 16 pixels: 1 for real, 0 for generated."""
        score: Tensor = self.layers(torch.cat([candidate, interpolated], dim=1))
        return score
