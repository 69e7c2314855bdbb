"""ISTE's decoding in the layout of the published code, for comparison with the exact engine.

Each point is a query of its own. For each corner the whole matrix of similarities of keys (rows) and queries
(columns) is in memory. Features are sampled by grid_sample, and LFI is computed again for each chunk of
points. The weights are those of a `Branches`, so the result is the same.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad, unfold

from histoscale.imaging.coords import normalise
from histoscale.models.iste.branches import Branches


def decode(branches: Branches, features: Tensor, positions: Tensor, cell: Tensor, chunk: int) -> Tensor:
    """Compute RGB in [-1, 1] at ``positions`` [b, q, 2] (low-resolution pixels), chunk by chunk.

    Args:
        branches: the weights.
        features: F_LR [b, c, h, w].
        positions: the points.
        cell: size of an output pixel in low-resolution pixels [b, 2].
        chunk: points per chunk.
    """
    maps = branches.learner(features).chunk(3, dim=1)
    parts = [_chunk(branches, features, maps, part, cell) for part in positions.split(chunk, dim=1)]
    return torch.cat(parts, dim=1)


def local_interactor(module: torch.nn.Module, features: Tensor) -> Tensor:
    """Compute LFI from ten explicit tokens per cell, with eight heads."""
    b, c, h, w = features.shape
    d = c // module.heads
    window = unfold(pad(features, (1, 1, 1, 1), mode="reflect"), 3).view(b, c, 9, h * w)
    tokens = torch.cat([window.mean(dim=2, keepdim=True), window], dim=2)
    keys, values = module.keys_values(tokens).view(b, 2, module.heads, d, 10, h * w).unbind(1)
    query = module.queries(features).view(b, module.heads, d, 1, h * w)
    shares = ((query * key_scale(d)) * keys).sum(dim=2).softmax(dim=2)
    return module.project((shares[:, :, None] * values).sum(dim=3).reshape(b, c, h, w))


def key_scale(d: int) -> float:
    """Compute 1 / sqrt(d), the factor inside the exponent."""
    return 1 / math.sqrt(d)


def _chunk(
    branches: Branches, features: Tensor, maps: tuple[Tensor, ...], positions: Tensor, cell: Tensor
) -> Tensor:
    """Decode one chunk of points."""
    f_lfic = branches.widen(local_interactor(branches.interactor, features))
    h, w = features.shape[-2:]
    size = torch.tensor([h, w])
    coords = torch.stack([normalise(positions[..., i], n) for i, n in enumerate((h, w))], dim=-1)
    rel_cell = 2 * cell.clamp(min=1 / branches.max_scale).to(features)
    colours, areas = [], []
    for down in (-1, 1):
        for right in (-1, 1):
            # The corner of each point in [-1, 1], its cell, and the offset of the point.
            moved = coords + torch.tensor([down, right]) / size + 1e-6
            moved = moved.clamp(-1 + 1e-6, 1 - 1e-6)
            where = ((moved + 1) * size / 2 - 1e-9).floor()
            relative = (2 * (positions - where)).to(features)
            grid = moved.flip(-1)[:, None].to(features)
            amplitude, first, second, query = (sample(m, grid) for m in (*maps, f_lfic))
            # F_TL, F_STF and the sum of both decoders' colours.
            phase = 2 * math.pi * torch.sigmoid(branches.learner.phase(rel_cell))[:, None]
            f_tl = amplitude * torch.sin(first * relative[..., :1] + second * relative[..., 1:] + phase)
            f_stf = fuse(branches, query, f_tl)
            inputs = torch.cat([f_stf, relative, rel_cell[:, None].expand_as(relative)], dim=-1)
            i_lpd = branches.pixel_decoder.rest(branches.pixel_decoder.first(inputs))
            colours.append(i_lpd + branches.texture_decoder(f_tl))
            areas.append(relative.prod(dim=-1).abs() + 1e-9)
    # Each corner is weighted by the area of the opposite one.
    total = sum(areas)
    return sum(a * (s / total)[..., None] for a, s in zip(colours, areas[::-1], strict=True))


def sample(feature_map: Tensor, grid: Tensor) -> Tensor:
    """Sample the features [b, q, c] of the cell nearest to each point."""
    return grid_sample(feature_map, grid, mode="nearest", align_corners=False)[:, :, 0].transpose(1, 2)


def fuse(branches: Branches, query: Tensor, keys: Tensor) -> Tensor:
    """Compute STF from the whole matrix of similarities, keys x queries."""
    similarity = torch.bmm(normalize(keys, dim=-1), normalize(query, dim=-1).transpose(1, 2))
    best, winner = similarity.max(dim=1)
    retrieved = keys.gather(1, winner[..., None].expand_as(keys))
    joint = branches.fusion.aggregate(torch.cat([query, retrieved], dim=-1))
    return query + joint * best[..., None]
