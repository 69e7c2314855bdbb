"""Self-texture fusion (STF): add to each cell the most similar texture of the image (Fig. 5b, Eqs. 4, 5)."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

_QUERIES_PER_BLOCK, _KEYS_PER_BLOCK = 1024, 2048
"""Size of one block of the similarity matrix: 8 MiB, which fits the cache of a processor."""


@torch.no_grad()
def most_similar(
    queries: Float[Tensor, "g n c"], unit_keys: Iterable[Float[Tensor, "g _ c"]]
) -> Int[Tensor, "g n"]:
    """Eq. (4): t_i = argmax_j <q_i / |q_i|, k_j / |k_j|>, streamed over blocks of keys.

    Of equal keys the first wins. The search has no gradient: `SelfTextureFusion` computes the similarity of
    the winner again, which gives the gradient of the maximum without the matrix. |q_i| does not change the
    order of the keys and is not computed.

    Args:
        queries: F_LFIC at cells, one set per group.
        unit_keys: blocks of F_TL at the points to search, of length 1 (see `unit`).

    Returns:
        The number of the winning key of each query; keys are numbered in the order of the blocks.
    """
    # The best similarity so far and its key. The n x m matrix is never in memory as a whole.
    best = torch.full(queries.shape[:2], -torch.inf, device=queries.device)
    winner = torch.zeros(queries.shape[:2], dtype=torch.long, device=queries.device)
    first = 0  # number of the first key of the current block
    for block in unit_keys:
        for keys in block.split(_KEYS_PER_BLOCK, dim=1):
            for start in range(0, queries.shape[1], _QUERIES_PER_BLOCK):
                rows = slice(start, start + _QUERIES_PER_BLOCK)
                top, at = (queries[:, rows].to(keys.dtype) @ keys.transpose(1, 2)).max(dim=2)
                # Strictly better, so that of equal keys the first one is kept.
                better = top > best[:, rows]
                best[:, rows] = torch.where(better, top.to(best.dtype), best[:, rows])
                winner[:, rows] = torch.where(better, at + first, winner[:, rows])
            first += keys.shape[1]
    return winner


@torch.no_grad()
def unit(keys: Float[Tensor, "*k c"]) -> Float[Tensor, "*k c"]:
    """Compute k / |k| in single precision or better; return it in autocast's precision if that is on."""
    device = keys.device.type
    with torch.autocast(device, enabled=False):
        normal = normalize(at_least_single(keys), dim=-1)
    return normal.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else normal


def similarity(queries: Float[Tensor, "*n c"], retrieved: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 1"]:
    """Compute S, the cosine of each row of F_LFIC and of A, in single precision or better."""
    with torch.autocast(queries.device.type, enabled=False):
        a, b = at_least_single(queries), at_least_single(retrieved)
        lengths = (x.norm(dim=-1, keepdim=True).clamp(min=1e-12) for x in (a, b))
        cosine: Tensor = (a * b).sum(dim=-1, keepdim=True) / next(lengths) / next(lengths)
        return cosine


def at_least_single(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Convert half precision to single precision; return other types unchanged."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class SelfTextureFusion(nn.Module):
    """Eq. (5): F_STF = F_LFIC + Z * S, with Z from F_LFIC and the retrieved texture A, and S their cosine.

    The paper's MLP for Z is one linear layer without bias, as in the published code.
    """

    def __init__(self, width: int = 256):
        super().__init__()
        self.aggregate = nn.Linear(2 * width, width, bias=False)

    def forward(
        self, queries: Float[Tensor, "*n c"], retrieved: Float[Tensor, "*n c"]
    ) -> Float[Tensor, "*n c"]:
        """Compute F_STF from F_LFIC at cells and A, the texture most similar to each."""
        joint = self.aggregate(torch.cat((queries, retrieved.to(queries.dtype)), dim=-1))  # Z
        fused: Tensor = queries + joint * similarity(queries, retrieved).to(joint.dtype)
        return fused
