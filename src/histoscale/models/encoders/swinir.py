"""SwinIR without its upsampler (Liang et al., ICCV Workshops 2021): attention within shifted windows.

A window is a run of 64 tokens after one gather, and its shift is part of the gather. Orders and masks are
computed from the size at hand, once a call for all layers: no state survives, and height and width stay
symbolic when the trunk is exported.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

WINDOW_PX = 8
TOKENS = WINDOW_PX * WINDOW_PX
MASKED = -100.0


class Windows(NamedTuple):
    """One way to cut a map of ``n`` tokens into windows.

    Attributes:
        order: tokens of the map window by window, row-major in both.
        inverse: from that order back to the map's.
        mask: added to the attention logits of each window; None where every pair may attend.
    """

    order: Int[Tensor, " n"]
    inverse: Int[Tensor, " n"]
    mask: Float[Tensor, "windows 1 64 64"] | None


def cut_windows(h: int, w: int, shift_px: int, like: Float[Tensor, "b ..."]) -> Windows:
    """Windows of a map of ``h`` x ``w`` tokens (multiples of 8), moved by ``shift_px`` with wrap-around.

    A shifted window that wraps joins opposite borders of the map; the mask keeps its parts apart.
    """
    index = torch.arange(h * w, device=like.device)
    window, token = index // TOKENS, index % TOKENS
    row = window // (w // WINDOW_PX) * WINDOW_PX + token // WINDOW_PX + shift_px
    col = window % (w // WINDOW_PX) * WINDOW_PX + token % WINDOW_PX + shift_px
    order = row % h * w + col % w
    if shift_px == 0:
        return Windows(order, order.argsort(), None)
    part = ((row >= h).long() + 2 * (col >= w).long()).view(-1, 1, 1, TOKENS)
    mask = (part != part.transpose(2, 3)).to(like.dtype) * MASKED
    return Windows(order, order.argsort(), mask.repeat(like.shape[0], 1, 1, 1))


def mirrored_index(n: int, n_padded: int, device: torch.device) -> Int[Tensor, " n_padded"]:
    """Indices that continue ``n`` samples to ``n_padded`` by reflection, the edge sample repeated."""
    index = torch.arange(n_padded, device=device) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)


def pad_to_windows(image: Float[Tensor, "b c h w"], least_px: int = 0) -> Float[Tensor, "b c H W"]:
    """``image`` continued at the bottom and right to whole windows; a one-pixel image works too.

    Args:
        least_px: how much is added at least; 1 adds a window where there are whole ones already.
    """
    h, w = image.shape[-2:]
    rows = mirrored_index(h, (h + least_px + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    cols = mirrored_index(w, (w + least_px + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    return image.index_select(2, rows).index_select(3, cols)


def crop(padded: Float[Tensor, "b c H W"], h: int, w: int) -> Float[Tensor, "b c h w"]:
    """The first ``h`` rows and ``w`` columns; a slice would bind both to multiples of 8 on export."""
    rows, cols = (torch.arange(n, device=padded.device) for n in (h, w))
    return padded.index_select(2, rows).index_select(3, cols)


def as_tokens(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
    """A map as a row-major list of tokens."""
    return x.flatten(2).transpose(1, 2)


def as_map(tokens: Float[Tensor, "b n c"], h: int, w: int) -> Float[Tensor, "b c h w"]:
    """The inverse of `as_tokens`."""
    return tokens.transpose(1, 2).reshape(*tokens.shape[::2], h, w)


def relative_index() -> Int[Tensor, "64 64"]:
    """Row of the bias table for every pair of tokens of one window: their offset, row-major."""
    position = torch.arange(TOKENS)
    row, col = position // WINDOW_PX, position % WINDOW_PX
    rows = row[:, None] - row[None] + WINDOW_PX - 1
    cols = col[:, None] - col[None] + WINDOW_PX - 1
    return rows * (2 * WINDOW_PX - 1) + cols


class StochasticDepth(nn.Module):
    """Drops a residual branch for whole samples while training (Huang et al., ECCV 2016)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[0], *(1,) * (x.ndim - 1), device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1 - self.rate)


class WindowAttention(nn.Module):
    """Multi-head attention within each window, with a learned bias for every offset of two pixels."""

    relative_index: Tensor

    def __init__(self, embedding: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(embedding, 3 * embedding)
        self.projection = nn.Linear(embedding, embedding)
        self.bias_table = nn.Parameter(torch.empty((2 * WINDOW_PX - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("relative_index", relative_index(), persistent=False)

    def forward(self, x: Float[Tensor, "b n c"], windows: Windows) -> Float[Tensor, "b n c"]:
        qkv = self.qkv(x.index_select(1, windows.order)).view(
            -1, TOKENS, 3, self.heads, x.shape[2] // self.heads
        )
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (windows, heads, 64, c / heads)
        bias = self.bias_table[self.relative_index].permute(2, 0, 1)[None]
        if windows.mask is not None:
            bias = bias + windows.mask
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        out: Tensor = self.projection(mixed.transpose(1, 2).reshape(x.shape))
        return out.index_select(1, windows.inverse)


class SwinLayer(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, embedding: int, heads: int, drop_rate: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(embedding)
        self.attention = WindowAttention(embedding, heads)
        self.norm2 = nn.LayerNorm(embedding)
        self.mlp = nn.Sequential(
            nn.Linear(embedding, 2 * embedding), nn.GELU(), nn.Linear(2 * embedding, embedding)
        )
        self.drop = StochasticDepth(drop_rate)

    def forward(self, x: Float[Tensor, "b n c"], windows: Windows) -> Float[Tensor, "b n c"]:
        x = x + self.drop(self.attention(self.norm1(x), windows))
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out


class ResidualSwinBlock(nn.Module):
    """RSTB: Swin layers, unshifted and shifted by turns, a conv3x3, plus the input."""

    def __init__(self, embedding: int, heads: int, drop_rates: list[float]):
        super().__init__()
        self.layers = nn.ModuleList(SwinLayer(embedding, heads, rate) for rate in drop_rates)
        self.conv = nn.Conv2d(embedding, embedding, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "b n c"], h: int, w: int, by_turns: tuple[Windows, Windows]
    ) -> Float[Tensor, "b n c"]:
        y = x
        for i, layer in enumerate(self.layers):
            y = layer(y, by_turns[i % 2])
        return x + as_tokens(self.conv(as_map(y, h, w)))


class SwinIREncoder(nn.Module):
    """SwinIR-M's trunk and the convolution that stands before its upsampler.

    **Tiles.** The windows are anchored to the first pixel, hence ``alignment_px``. The receptive field
    reaches 151 pixels to each side, half a window a layer and a pixel a convolution. ``halo_px`` is a
    practical margin: the dependence fades with distance, and what remains of the seam has to be measured on
    trained weights.

    Args:
        blocks, layers: residual Swin blocks and the layers of each, 6 and 6 for SwinIR-M.
        channels: features of the output, 64.
        embedding, heads: features and attention heads of the trunk, 180 and 6.
        drop_rate: stochastic depth of the last layer; grows linearly from 0.
    """

    def __init__(
        self,
        blocks: int = 6,
        channels: int = 64,
        *,
        layers: int = 6,
        embedding: int = 180,
        heads: int = 6,
        drop_rate: float = 0.1,
    ):
        super().__init__()
        self.channels = channels
        self.halo_px = 4 * WINDOW_PX
        self.alignment_px = WINDOW_PX
        rates = [drop_rate * i / max(blocks * layers - 1, 1) for i in range(blocks * layers)]
        self.first = nn.Conv2d(3, embedding, 3, padding=1)
        self.norm_in = nn.LayerNorm(embedding)
        self.blocks = nn.ModuleList(
            ResidualSwinBlock(embedding, heads, rates[i * layers : (i + 1) * layers]) for i in range(blocks)
        )
        self.norm_out = nn.LayerNorm(embedding)
        self.last = nn.Conv2d(embedding, embedding, 3, padding=1)
        self.reduce = nn.Sequential(nn.Conv2d(embedding, channels, 3, padding=1), nn.LeakyReLU(0.01))
        self.apply(initialise_linear)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        """Features of an image already normalised to [-1, 1]; any size, cropped back after padding."""
        shallow: Tensor = self.first(pad_to_windows(image))
        h, w = shallow.shape[-2:]
        by_turns = (cut_windows(h, w, 0, shallow), cut_windows(h, w, WINDOW_PX // 2, shallow))
        x = self.norm_in(as_tokens(shallow))
        for block in self.blocks:
            x = block(x, h, w, by_turns)
        deep: Tensor = self.last(as_map(self.norm_out(x), h, w))
        return crop(self.reduce(shallow + deep), *image.shape[-2:])


def initialise_linear(module: nn.Module) -> None:
    """SwinIR's start: linear maps from a truncated normal of 0.02, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
