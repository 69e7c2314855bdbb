"""The equations of ISTE as printed, as loops in float64; weights come from the modules under test.

Each point is a separate query for each of the four corners, as in the published code.
"""

import math

import torch
from torch import Tensor


def reflect(i: int, n: int) -> int:
    """Mirror index ``i`` at the ends of an axis of ``n``."""
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


def affine(layer, x: Tensor) -> Tensor:
    """Apply a linear layer or 1 x 1 convolution to one vector."""
    y = layer.weight.reshape(layer.weight.shape[0], -1) @ x
    return y if layer.bias is None else y + layer.bias


def local_interactor(module, features: Tensor) -> Tensor:
    """Eq. 2 for a map [c, h, w], cell by cell, head by head, token by token."""
    channels, h, w = features.shape
    out = torch.zeros_like(features)
    for row in range(h):
        for col in range(w):
            window = [
                features[:, reflect(row + i, h), reflect(col + j, w)] for i in (-1, 0, 1) for j in (-1, 0, 1)
            ]
            own, mean = window[4], sum(window) / 9
            tokens = [own, mean, *window[:4], *window[5:]]
            if module.mode == "scrambled":
                listed = torch.stack([cell[k] for k in range(channels) for cell in window])
                runs = [listed[t * channels : (t + 1) * channels] for t in range(9)]
                tokens = [sum(runs) / 9, *runs]
            query = affine(module.queries, own)
            pairs = [affine(module.keys_values, token) for token in tokens]
            heads = module.heads
            d = channels // heads
            mixed = []
            for head in range(heads):
                part = slice(head * d, (head + 1) * d)
                q = query[part]
                keys = [pair[:channels][part] for pair in pairs]
                values = [pair[channels:][part] for pair in pairs]
                inside = 1 if module.mode == "printed" else math.sqrt(d)
                exponentials = [torch.exp(q @ key / inside) for key in keys]
                total = sum(exponentials)
                if module.mode in ("code", "scrambled"):
                    total = total + torch.exp(q @ query[channels:][part])
                if module.mode == "printed":
                    total = total * math.sqrt(d)
                mixed.append(sum(e / total * v for e, v in zip(exponentials, values, strict=True)))
            joined = torch.cat(mixed)
            out[:, row, col] = joined if module.mode == "printed" else affine(module.project, joined)
    return out


def texture(module, spectrum: Tensor, offset: Tensor, cell: Tensor) -> Tensor:
    """Eq. 3 for one point: amplitude, row and column frequencies of its cell, channel by channel."""
    width = len(spectrum) // 3
    out = []
    for k in range(width):
        turn = 1 / (1 + torch.exp(-(module.phase.weight[k] @ cell)))
        angle = spectrum[width + k] * offset[0] + spectrum[2 * width + k] * offset[1] + 2 * math.pi * turn
        out.append(spectrum[k] * torch.sin(angle))
    return torch.stack(out)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """r of Eq. 4."""
    return (a / a.pow(2).sum().sqrt()) @ (b / b.pow(2).sum().sqrt())


def most_similar(query: Tensor, keys: list[Tensor]) -> int:
    """t of Eq. 4."""
    similarities = [float(cosine(query.detach(), key.detach())) for key in keys]
    return similarities.index(max(similarities))


def fuse(module, query: Tensor, keys: list[Tensor]) -> Tensor:
    """Eq. 5 for one query."""
    retrieved = keys[most_similar(query, keys)]
    joint = module.aggregate.weight @ torch.cat((query, retrieved))
    return query + joint * cosine(query, retrieved)


def mlp(layers: list, x: Tensor) -> Tensor:
    """Linear layers with ReLU in between."""
    for layer in layers[:-1]:
        x = affine(layer, x).clamp(min=0)
    return affine(layers[-1], x)


def linears(module) -> list:
    """The linear layers of a module in order."""
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def four_corners(position: Tensor, size: tuple[int, int]) -> list[tuple[tuple[int, int], Tensor, Tensor]]:
    """Cell, offset and weight S_t / S of each corner of one position."""
    found = []
    for down in (-1, 1):
        for right in (-1, 1):
            index = [
                min(max(math.floor(float(p) + v / 2 + 0.5 + 1e-6), 0), n - 1)
                for p, v, n in zip(position, (down, right), size, strict=True)
            ]
            found.append((tuple(index), 2 * (position - torch.tensor(index))))
    areas = [offset[0].abs() * offset[1].abs() + 1e-9 for _, offset in found]
    return [(*found[t], areas[3 - t] / sum(areas)) for t in range(4)]


def branches(module, features: Tensor, positions: Tensor, cell: Tensor, key_places=None) -> Tensor:
    """Eqs. 2 to 8 for a map [c, h, w] at positions [q, 2]; keys are the points themselves unless given.

    Args:
        key_places: for each corner a list of (cell, offset): where the keys lie.
    """
    size = tuple(features.shape[1:])
    conv = torch.nn.functional.conv2d
    f_lfi = local_interactor(module.interactor, features)
    f_lfic = conv(f_lfi[None], module.widen.weight, module.widen.bias, padding=1)[0]
    spectrum = conv(features[None], module.learner.spectrum.weight, module.learner.spectrum.bias, padding=1)[
        0
    ]
    c = 2 * cell.clamp(min=1 / module.max_scale)
    lpd = linears(module.pixel_decoder)
    ltd = linears(module.texture_decoder)
    out = torch.zeros(len(positions), 3, dtype=torch.float64)
    for t in range(4):
        seen = [four_corners(position, size)[t] for position in positions]
        f_tl = [texture(module.learner, spectrum[:, i, j], offset, c) for (i, j), offset, _ in seen]
        keys = f_tl
        if key_places is not None:
            keys = [texture(module.learner, spectrum[:, i, j], offset, c) for (i, j), offset in key_places[t]]
        for q, ((i, j), offset, weight) in enumerate(seen):
            f_stf = fuse(module.fusion, f_lfic[:, i, j], keys)
            i_lpd = mlp(lpd, torch.cat((f_stf, offset, c)))
            out[q] = out[q] + weight * (i_lpd + mlp(ltd, f_tl[q]))
    return out
