"""The official models in plain form: their parameters' names, their coordinates of [-1, 1], their loops.

Written from their descriptions; slow, small, for comparison only.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


def conv(before: int, after: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, padding=side // 2)


class Mlp(nn.Module):
    """``layers``: linear layers with an activation in between, at even numbers."""

    def __init__(self, widths: list[int], activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), activation()]
        self.layers = nn.Sequential(*parts[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


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
    """With ``high`` a range and its mean shift, as EDSR-PyTorch; without, as LIIF's file."""

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
    """One image of a multiple of 8 pixels; with a scale as its authors', around the mean of DIV2K."""

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


def nearest(features: Tensor, at: Tensor, mode: str = "nearest", padding: str = "zeros") -> Tensor:
    """[1, c, h, w] at [q, 2] (row, column) in [-1, 1]: [q, c]."""
    sampled = nnf.grid_sample(features, at.flip(-1)[None, None], mode, padding, align_corners=False)
    return sampled[0, :, 0].T


def centres(h: int, w: int) -> Tensor:
    """Cell centres in [-1, 1], [1, 2, h, w]."""
    rows, cols = (-1 + (2 * torch.arange(n, dtype=torch.float64) + 1) / n for n in (h, w))
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij"))[None]


class Implicit(nn.Module):
    """What LIIF's family shares: an encoder, corners, offsets in cells of 2, areas of the mirrored corner."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def corners(
        self,
        at: Tensor,
        size: tuple[int, int],
        steps: tuple[int, ...] = (-1, 1),
        shift: tuple[float, ...] = (),
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Where to sample, offset and area of each corner."""
        found = []
        radius = torch.tensor(shift or (1 / size[0], 1 / size[1]), dtype=at.dtype)
        for down in steps:
            for right in steps:
                moved = (at + torch.tensor([down, right]) * radius + 1e-6).clamp(-1 + 1e-6, 1 - 1e-6)
                offset = (at - nearest(centres(*size), moved)) * torch.tensor(size)
                found.append((moved, offset, offset.prod(-1).abs() + 1e-9))
        return found

    def blend(self, colours: list[Tensor], found: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        areas = [area for *_, area in found]
        return sum(c * (a / sum(areas))[:, None] for c, a in zip(colours, reversed(areas), strict=True))

    def skip(self, image: Tensor, at: Tensor) -> Tensor:
        return nearest(image, at, "bilinear", "border")

    def forward(self, image: Tensor, at: Tensor, cell: Tensor) -> Tensor:
        """Normalised image, points in [-1, 1] and the size of an output pixel there: normalised colours."""
        features = self.encoder(image)
        size = (features.shape[2], features.shape[3])
        return self.query(image, features, at, cell, size)


class Liif(Implicit):
    def __init__(self, encoder: nn.Module, channels: int, width: int = 16):
        super().__init__(encoder)
        self.imnet = Mlp([9 * channels + 4, *[width] * 4, 3])

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        unfolded = nnf.unfold(features, 3, padding=1).view(1, -1, *size)
        sizes = (cell * torch.tensor(size)).expand(len(at), 2)
        found = self.corners(at, size)
        seen = [self.imnet(torch.cat((nearest(unfolded, where), o, sizes), -1)) for where, o, _ in found]
        return self.blend(seen, found)


class Lte(Implicit):
    def __init__(self, encoder: nn.Module, channels: int, width: int = 16):
        super().__init__(encoder)
        self.coef, self.freq = conv(channels, width), conv(channels, width)
        self.phase = nn.Linear(2, width // 2, bias=False)
        self.imnet = Mlp([width, width, width, width, 3])

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        found, seen = self.corners(at, size), []
        for where, offset, _ in found:
            pairs = nearest(self.freq(features), where).view(len(at), -1, 2)
            angle = (pairs * offset[:, None]).sum(-1) + self.phase(cell * torch.tensor(size))
            waves = torch.cat((torch.cos(math.pi * angle), torch.sin(math.pi * angle)), -1)
            seen.append(self.imnet(nearest(self.coef(features), where) * waves))
        return self.blend(seen, found) + self.skip(image, at)


class FeedForward(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(before, 2 * after), nn.GELU(), nn.Linear(2 * after, after), nn.GELU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Lmi(Implicit):
    def __init__(self, encoder: nn.Module, channels: int):
        super().__init__(encoder)
        self.metanet = Mlp([33, channels, channels * 16])
        block = nn.Module()
        block.token_mix = nn.Sequential(FeedForward(32, 16))
        block.channel_mix = nn.Sequential(FeedForward(channels + 6, channels))
        self.imnet = nn.Module()
        self.imnet.mixer_blocks = nn.ModuleList([block])
        self.imnet.out = nn.Linear(channels, 3)

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        found = self.corners(at, size, (-3, -1, 1, 3))
        tokens = torch.stack([nearest(features, where) for where, *_ in found], 1)
        colours = torch.stack([nearest(image, where) for where, *_ in found], 1)
        offsets = torch.stack([offset for _, offset, _ in found], 1)
        height = (cell[0] * size[0]).expand(len(at), 1)
        meta = self.metanet(torch.cat((offsets.flatten(1), height), -1)).view(len(at), -1, 16)
        block = self.imnet.mixer_blocks[0]
        x = tokens + block.token_mix(torch.cat((tokens.transpose(1, 2), meta), -1)).transpose(1, 2)
        heights = height[:, None].expand(-1, 16, 1)
        x = tokens + x + block.channel_mix(torch.cat((x, colours, offsets, heights), -1))
        return self.blend(list(self.imnet.out(x).unbind(1)), found)


class Itsrn(Implicit):
    def __init__(self, encoder: nn.Module, channels: int, width: int = 16):
        super().__init__(encoder)
        self.imnet = Mlp([4, *[width] * 4, channels * 27], nn.GELU)
        self.Score, self.Weight = Mlp([2, width, 1], nn.GELU), Mlp([4, width, 1], nn.GELU)

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        unfolded = nnf.unfold(features, 3, padding=1).view(1, -1, *size)
        scale = cell / 2
        shift = tuple(float((1 - s) / (n - 1)) for s, n in zip(scale, size, strict=True))
        seen = []
        for where, offset, _ in self.corners(at, size, shift=shift):
            sizes = (scale * torch.tensor(size)).expand(len(at), 2)
            filters = self.imnet(torch.cat((offset, sizes), -1)).view(len(at), -1, 3)
            seen.append((nearest(unfolded, where)[:, None] @ filters)[:, 0] + self.Score(offset))
        return self.Weight(torch.stack(seen, -1))[..., 0]


class Lit(Implicit):
    def __init__(self, encoder: nn.Module, channels: int, width: int = 8, heads: int = 2, hidden: int = 12):
        super().__init__(encoder)
        self.heads = heads
        self.conv_ch = conv(channels, width)
        for name in ("conv_vs", "conv_qs", "conv_ks"):
            setattr(self, name, nn.ModuleList([conv(width, width)]))
        self.pb_encoder = nn.Module()
        self.pb_encoder.proj = nn.Linear(64, heads)
        self.imnets = nn.ModuleList([Mlp([49 * width + 2, *[hidden] * 4, 3], nn.GELU)])

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        wide = self.conv_ch(features)
        queries, keys, values = (m[0](wide) for m in (self.conv_qs, self.conv_ks, self.conv_vs))
        query = nearest(queries, at, "bilinear").view(len(at), 1, self.heads, -1)
        centre = nearest(centres(*size), at)
        frequencies = 2 ** torch.linspace(0, 10, 16, dtype=torch.float64) - 1
        seen_keys, seen_values, biases = [], [], []
        for down in range(-3, 4):
            for right in range(-3, 4):
                where = centre + torch.tensor([down, right]) * 2 / torch.tensor(size)
                offset = (at - where) * torch.tensor(size)
                angles = torch.cat((offset[:, :1] * frequencies, offset[:, 1:] * frequencies), -1)
                biases.append(self.pb_encoder.proj(torch.cat((angles.sin(), angles.cos()), -1)))
                seen_keys.append(nearest(keys, where).view(len(at), self.heads, -1))
                seen_values.append(nearest(values, where).view(len(at), self.heads, -1))
        products = (query * torch.stack(seen_keys, 1)).sum(-1) / math.sqrt(query.shape[-1])
        shares = (products + torch.stack(biases, 1)).softmax(1)
        weighted = (torch.stack(seen_values, 1) * shares[..., None]).flatten(1)
        sizes = (cell * torch.tensor(size)).expand(len(at), 2)
        return self.imnets[0](torch.cat((weighted, sizes), -1)) + self.skip(image, at)


class PixAttn(nn.Module):
    """The local feature interactor of the released code, its windows cut into runs."""

    def __init__(self, channels: int):
        super().__init__()
        self.qk_linear, self.kv_linear = nn.Linear(channels, 2 * channels), nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.depth_conv = nn.Conv2d(channels, channels, 1, groups=channels)

    def forward(self, features: Tensor) -> Tensor:
        _, c, h, w = features.shape
        cells = features[0].flatten(1).T
        window = nnf.unfold(nnf.pad(features, (1, 1, 1, 1), mode="reflect"), 3)[0].T.view(-1, c, 3, 3)
        runs = window.reshape(-1, 9, c)
        tokens = torch.cat((runs.mean(1, keepdim=True), runs), 1)
        query, second = self.qk_linear(cells).view(-1, 2, 8, c // 8).unbind(1)
        key, value = self.kv_linear(tokens).view(-1, 10, 2, 8, c // 8).unbind(2)
        own = (query * second).sum(-1)[:, None]
        logits = (query[:, None] * key).sum(-1) * (c // 8) ** -0.5
        shares = torch.cat((logits, own), 1).softmax(1)[:, :10]
        return self.proj((shares[..., None] * value).sum(1).flatten(1)).T.view(1, c, h, w)


class Iste(Implicit):
    def __init__(self, encoder: nn.Module, channels: int, width: int = 16):
        super().__init__(encoder)
        self.liifconv, self.coef = conv(channels, width), conv(channels, width)
        self.freq1, self.freq2 = conv(channels, width), conv(channels, width)
        self.phase = nn.Linear(2, width, bias=False)
        self.imnet_texture = Mlp([width, width, width, width, 3])
        self.imnet_texture_auxiliary = Mlp([width, width, width, width, 3])
        self.imnet_rgb = Mlp([width + 4, width, width, width, 3])
        self.imnet_query = Mlp([3, width, width, width, width])
        self.pix_attn = PixAttn(channels)
        self.fusionlinear = nn.Linear(2 * width, width, bias=False)

    def query(
        self, image: Tensor, features: Tensor, at: Tensor, cell: Tensor, size: tuple[int, int]
    ) -> Tensor:
        keys = self.liifconv(self.pix_attn(features))
        maps = [layer(features) for layer in (self.coef, self.freq1, self.freq2)]
        sizes = (cell * torch.tensor(size)).expand(len(at), 2)
        found, seen = self.corners(at, size), []
        for where, offset, _ in found:
            amplitude, rows, cols = (nearest(m, where) for m in maps)
            phase = 2 * math.pi * self.phase(sizes).sigmoid()
            texture = amplitude * torch.sin(rows * offset[:, :1] + cols * offset[:, 1:] + phase)
            query = nearest(keys, where)
            cosines = nnf.normalize(texture, dim=1) @ nnf.normalize(query, dim=1).T
            best, which = cosines.max(0)
            fused = query + self.fusionlinear(torch.cat((query, texture[which]), 1)) * best[:, None]
            seen.append(self.imnet_rgb(torch.cat((fused, offset, sizes), 1)) + self.imnet_texture(texture))
        return self.blend(seen, found)
