"""The official encoders and fixed-scale models in plain form, with their parameters' names.

Written from their descriptions; slow, small, for comparison only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


def conv(before: int, after: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, padding=side // 2)


class MeanShift(nn.Conv2d):
    def __init__(self, sign: int, high: float):
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3).view(3, 3, 1, 1)
        self.bias.data = sign * high * torch.tensor([0.4488, 0.4371, 0.4040])


class ResBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), nn.ReLU(), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Upsampler(nn.Sequential):
    def __init__(self, channels: int, scale: int):
        parts: list[nn.Module] = []
        for factor in {2: (2,), 3: (3,), 4: (2, 2)}[scale]:
            parts += [conv(channels, channels * factor**2), nn.PixelShuffle(factor)]
        super().__init__(*parts)


class Edsr(nn.Module):
    """With ``high``, a range and its mean shift as in EDSR-PyTorch; without, as in LIIF's file."""

    def __init__(self, blocks: int = 2, channels: int = 8, scale: int = 0, high: float = 0):
        super().__init__()
        self.high = high
        self.sub_mean, self.add_mean = MeanShift(-1, high or 1), MeanShift(1, high or 1)
        self.head = nn.Sequential(conv(3, channels))
        self.body = nn.Sequential(*(ResBlock(channels) for _ in range(blocks)), conv(channels, channels))
        if scale:
            self.tail = nn.Sequential(Upsampler(channels, scale), conv(channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.sub_mean(x) if self.high else x)
        x = x + self.body(x)
        if hasattr(self, "tail"):
            x = self.tail(x)
        return self.add_mean(x) if self.high else x


class DenseConv(nn.Module):
    def __init__(self, before: int, growth: int):
        super().__init__()
        self.conv = nn.Sequential(conv(before, growth), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.conv(x)), dim=1)


class DenseBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.convs = nn.Sequential(*(DenseConv(channels * (1 + i), channels) for i in range(8)))
        self.LFF = conv(channels * 9, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.LFF(self.convs(x))


class Rdn(nn.Module):
    def __init__(self, blocks: int = 2, channels: int = 4, scale: int = 0):
        super().__init__()
        self.SFENet1, self.SFENet2 = conv(3, channels), conv(channels, channels)
        self.RDBs = nn.ModuleList(DenseBlock(channels) for _ in range(blocks))
        self.GFF = nn.Sequential(conv(channels * blocks, channels, 1), conv(channels, channels))
        if scale:
            self.UPNet = nn.Sequential(*Upsampler(channels, scale), conv(channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.SFENet1(x)
        x, outputs = self.SFENet2(shallow), []
        for block in self.RDBs:
            x = block(x)
            outputs.append(x)
        x = self.GFF(torch.cat(outputs, dim=1)) + shallow
        return self.UPNet(x) if hasattr(self, "UPNet") else x


class WindowAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.randn(225, heads) * 0.5)
        row, col = torch.arange(64) // 8, torch.arange(64) % 8
        offset = 15 * (row[:, None] - row[None] + 7) + col[:, None] - col[None] + 7
        self.register_buffer("relative_position_index", offset)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, _, c = x.shape
        q, k, v = self.qkv(x).view(n, 64, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        logits = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5 + bias + mask[:, None]
        return self.proj((logits.softmax(-1) @ v).transpose(1, 2).reshape(n, 64, c))


class SwinMlp(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nnf.gelu(self.fc1(x)))


def windows(x: Tensor) -> Tensor:
    """[h, w, c] by windows, row-major: [n, 64, c]."""
    h, w, c = x.shape
    return x.view(h // 8, 8, w // 8, 8, c).transpose(1, 2).reshape(-1, 64, c)


class SwinBlock(nn.Module):
    def __init__(self, dim: int, heads: int, shift: int):
        super().__init__()
        self.shift = shift
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = WindowAttention(dim, heads), SwinMlp(dim)
        if shift:
            self.register_buffer("attn_mask", torch.zeros(1, 64, 64))  # in the file, made anew for each size

    def forward(self, x: Tensor) -> Tensor:
        h, w, c = x.shape
        part = torch.zeros(h, w, 1, dtype=x.dtype)
        if self.shift:
            for i, rows in enumerate((slice(0, -8), slice(-8, -4), slice(-4, None))):
                for j, cols in enumerate((slice(0, -8), slice(-8, -4), slice(-4, None))):
                    part[rows, cols] = 3 * i + j
        regions = windows(part)
        mask = -100.0 * (regions != regions.transpose(1, 2)).to(x)
        rolled = self.norm1(x).roll((-self.shift, -self.shift), (0, 1))
        y = self.attn(windows(rolled), mask).view(h // 8, w // 8, 8, 8, c).transpose(1, 2).reshape(h, w, c)
        x = x + y.roll((self.shift, self.shift), (0, 1))
        return x + self.mlp(self.norm2(x))


class Rstb(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.residual_group = nn.Module()
        self.residual_group.blocks = nn.ModuleList(SwinBlock(dim, heads, 4 * (i % 2)) for i in range(6))
        self.conv = conv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in self.residual_group.blocks:
            y = block(y)
        return x + self.conv(y.permute(2, 0, 1)[None])[0].permute(1, 2, 0)


class SwinIr(nn.Module):
    """For one image of a multiple of 8 pixels; with a scale as its authors', around the mean of DIV2K."""

    def __init__(self, blocks: int = 1, dim: int = 180, scale: int = 0, channels: int = 64):
        super().__init__()
        self.conv_first = conv(3, dim)
        self.patch_embed = nn.Module()
        self.patch_embed.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(Rstb(dim, 6) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.conv_after_body = conv(dim, dim)
        self.conv_before_upsample = nn.Sequential(conv(dim, channels), nn.LeakyReLU())
        if scale:
            self.upsample = Upsampler(channels, scale)
            self.conv_last = conv(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        mean = torch.tensor([0.4488, 0.4371, 0.4040], dtype=x.dtype).view(3, 1, 1)
        shallow = self.conv_first(x - mean if hasattr(self, "upsample") else x)
        y = self.patch_embed.norm(shallow[0].permute(1, 2, 0))
        for layer in self.layers:
            y = layer(y)
        deep = self.conv_after_body(self.norm(y).permute(2, 0, 1)[None])
        out = self.conv_before_upsample(shallow + deep)
        return self.conv_last(self.upsample(out)) + mean if hasattr(self, "upsample") else out


def padded(image: Tensor, window_size: int = 8) -> Tensor:
    """As SwinIR's test script: append mirrored copies, cut, and crop the output."""
    _, _, h_old, w_old = image.size()
    h_pad = (h_old // window_size + 1) * window_size - h_old
    w_pad = (w_old // window_size + 1) * window_size - w_old
    image = torch.cat([image, torch.flip(image, [2])], 2)[:, :, : h_old + h_pad, :]
    return torch.cat([image, torch.flip(image, [3])], 3)[:, :, :, : w_old + w_pad]
