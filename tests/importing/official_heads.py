"""The official arbitrary-scale models in plain form: their parameters' names, their coordinates of [-1, 1].

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


def nearest(features: Tensor, at: Tensor, mode: str = "nearest", padding: str = "zeros") -> Tensor:
    """[1, c, h, w] at [q, 2] (row, column) in [-1, 1]: [q, c]."""
    sampled = nnf.grid_sample(features, at.flip(-1)[None, None], mode, padding, align_corners=False)
    return sampled[0, :, 0].T


def centres(h: int, w: int) -> Tensor:
    """Cell centres in [-1, 1], [1, 2, h, w]."""
    rows, cols = (-1 + (2 * torch.arange(n, dtype=torch.float64) + 1) / n for n in (h, w))
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij"))[None]


class Implicit(nn.Module):
    """Base of LIIF's family: an encoder, corners, offsets in cells of 2, areas of the opposite corner."""

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
        """Compute the sampling position, the offset and the area of each corner."""
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
    """The local feature interactor of the released code, with windows cut into runs."""

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
