"""SwinIR without its upsampler (Liang et al., ICCV Workshops 2021): attention within shifted windows.

One gather moves the 64 tokens of each window next to each other and also applies the shift. Orders and masks
are computed from the size of the input, once per call for all layers. No state survives a call, and height
and width stay symbolic when the encoder is exported.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

WINDOW_PX = 8
TOKENS = WINDOW_PX * WINDOW_PX
MASKED = -100.0


class Windows(NamedTuple):
    """A division of a map of ``n`` tokens into windows.

    Attributes:
        order: the numbers of the map's tokens window by window; windows and their tokens are row-major.
        inverse: the permutation from that order back to the map.
        mask: added to the attention logits of each window; None if all pairs of a window may attend.
    """

    order: Int[Tensor, " n"]
    inverse: Int[Tensor, " n"]
    mask: Float[Tensor, "windows 1 64 64"] | None


def cut_windows(h: int, w: int, shift_px: int, like: Float[Tensor, "b ..."]) -> Windows:
    """Divide a map of ``h`` x ``w`` tokens (multiples of 8) into windows shifted by ``shift_px``.

    Shifted windows wrap around the border of the map. The mask stops attention across the border.
    """
    # Number of the window and of the token in it, for each place of the new order.
    index = torch.arange(h * w, device=like.device)
    window, token = index // TOKENS, index % TOKENS
    # Row and column of that token on the map, before wrapping around.
    row = window // (w // WINDOW_PX) * WINDOW_PX + token // WINDOW_PX + shift_px
    col = window % (w // WINDOW_PX) * WINDOW_PX + token % WINDOW_PX + shift_px
    order = row % h * w + col % w
    if shift_px == 0:
        return Windows(order, order.argsort(), None)
    # Which tokens have wrapped, vertically (1) and horizontally (2): pairs of different parts are masked.
    part = ((row >= h).long() + 2 * (col >= w).long()).view(-1, 1, 1, TOKENS)
    mask = (part != part.transpose(2, 3)).to(like.dtype) * MASKED
    return Windows(order, order.argsort(), mask.repeat(like.shape[0], 1, 1, 1))


def mirrored_index(n: int, n_padded: int, device: torch.device) -> Int[Tensor, " n_padded"]:
    """Return indices that extend ``n`` samples to ``n_padded`` by reflection, repeating the edge sample."""
    # 0 .. n - 1, n - 1 .. 0, and again.
    index = torch.arange(n_padded, device=device) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)


def pad_to_windows(image: Float[Tensor, "b c h w"], least_px: int = 0) -> Float[Tensor, "b c H W"]:
    """Extend ``image`` at the bottom and right to whole windows by reflection.

    Args:
        image: the image; even one pixel suffices.
        least_px: pixels to add at least; with 1 an image of whole windows gets one more window.
    """
    h, w = image.shape[-2:]
    rows = mirrored_index(h, (h + least_px + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    cols = mirrored_index(w, (w + least_px + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    return image.index_select(2, rows).index_select(3, cols)


def crop(padded: Float[Tensor, "b c H W"], h: int, w: int) -> Float[Tensor, "b c h w"]:
    """Crop to the first ``h`` rows and ``w`` columns."""
    # No slice: on export it would restrict height and width to multiples of 8.
    rows, cols = (torch.arange(n, device=padded.device) for n in (h, w))
    return padded.index_select(2, rows).index_select(3, cols)


def as_tokens(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
    """Return a map as a row-major list of tokens."""
    return x.flatten(2).transpose(1, 2)


def as_map(tokens: Float[Tensor, "b n c"], h: int, w: int) -> Float[Tensor, "b c h w"]:
    """Invert `as_tokens`."""
    return tokens.transpose(1, 2).reshape(*tokens.shape[::2], h, w)


def relative_index() -> Int[Tensor, "64 64"]:
    """Compute the row of the bias table for each pair of tokens of a window, from their offset."""
    # In numpy: on the device "meta", torch would import its compiler for this arithmetic.
    row, col = np.divmod(np.arange(TOKENS), WINDOW_PX)
    # Offsets from -7 to 7 become 0 to 14; the table has 15 x 15 rows, row-major.
    rows = row[:, None] - row[None] + WINDOW_PX - 1
    cols = col[:, None] - col[None] + WINDOW_PX - 1
    return torch.tensor(rows * (2 * WINDOW_PX - 1) + cols)


class StochasticDepth(nn.Module):
    """In training, drop a residual branch for random samples (Huang et al., ECCV 2016)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Drop samples; scale the others so that the mean does not change."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[0], *(1,) * (x.ndim - 1), device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1 - self.rate)


class WindowAttention(nn.Module):
    """Multi-head attention within each window, with a learned bias per offset of two tokens."""

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
        """Attend within the windows of ``windows``."""
        # 1. Queries, keys and values of all tokens, window by window.
        qkv = self.qkv(x.index_select(1, windows.order)).view(
            -1, TOKENS, 3, self.heads, x.shape[2] // self.heads
        )
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [windows, heads, 64, c / heads]
        # 2. Logits get the bias of the offset, [1, heads, 64, 64], and the mask of the window.
        bias = self.bias_table[self.relative_index].permute(2, 0, 1)[None]
        if windows.mask is not None:
            bias = bias + windows.mask
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        # 3. Heads side by side, projected, and back to the order of the map.
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
        """Apply attention and MLP, each as a residual."""
        x = x + self.drop(self.attention(self.norm1(x), windows))
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out


class ResidualSwinBlock(nn.Module):
    """RSTB: alternating unshifted and shifted Swin layers, a conv3x3, plus the input."""

    def __init__(self, embedding: int, heads: int, drop_rates: list[float]):
        super().__init__()
        self.layers = nn.ModuleList(SwinLayer(embedding, heads, rate) for rate in drop_rates)
        self.conv = nn.Conv2d(embedding, embedding, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "b n c"], h: int, w: int, windows: tuple[Windows, Windows]
    ) -> Float[Tensor, "b n c"]:
        """Apply the layers with unshifted and shifted ``windows`` in alternation."""
        y = x
        for i, layer in enumerate(self.layers):
            y = layer(y, windows[i % 2])
        return x + as_tokens(self.conv(as_map(y, h, w)))


class SwinIREncoder(nn.Module):
    """The encoder of SwinIR-M, including the convolution before its upsampler.

    **Tiles.** Windows start at the first pixel of the input, hence ``alignment_px``. The receptive field
    reaches 151 pixels to each side: half a window per layer and a pixel per convolution. ``halo_px`` is
    smaller, because the dependence decreases with distance: a tile may differ slightly from the whole image.
    ``benchmarks/seams.py`` measures the difference, so far with untrained weights.

    Args:
        blocks, layers: residual Swin blocks and layers of each block, 6 and 6 for SwinIR-M.
        channels: channels of the output, 64 for SwinIR-M.
        embedding, heads: channels and attention heads of the layers, 180 and 6 for SwinIR-M.
        drop_rate: stochastic depth of the last layer; it grows linearly from 0 at the first.
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
        """Compute the features of an image of any size that is normalised to [-1, 1]."""
        # Pad to whole windows here, crop the features at the end.
        shallow: Tensor = self.first(pad_to_windows(image))
        h, w = shallow.shape[-2:]
        windows = (cut_windows(h, w, 0, shallow), cut_windows(h, w, WINDOW_PX // 2, shallow))
        x = self.norm_in(as_tokens(shallow))
        for block in self.blocks:
            x = block(x, h, w, windows)
        deep: Tensor = self.last(as_map(self.norm_out(x), h, w))
        return crop(self.reduce(shallow + deep), *image.shape[-2:])


def initialise_linear(module: nn.Module) -> None:
    """Initialise as SwinIR does: linear layers from a truncated normal of 0.02, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
