"""SwinIR without its upsampler (Liang et al., ICCV Workshops 2021): attention within shifted windows.

Shapes stay symbolic, so the trunk exports with dynamic height and width. The masks of the shifted windows are
computed from the size at hand, once a call for all layers: no state survives.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

WINDOW_PX = 8
TOKENS = WINDOW_PX * WINDOW_PX
MASKED = -100.0


def mirrored_index(n: int, n_padded: int, device: torch.device) -> Int[Tensor, " n_padded"]:
    """Indices that continue ``n`` samples to ``n_padded`` by reflection, the edge sample repeated."""
    index = torch.arange(n_padded, device=device) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)


def pad_to_windows(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
    """``image`` continued at the bottom and right to whole windows; a one-pixel image works too."""
    h, w = image.shape[-2:]
    rows = mirrored_index(h, (h + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    cols = mirrored_index(w, (w + WINDOW_PX - 1) // WINDOW_PX * WINDOW_PX, image.device)
    return image.index_select(2, rows).index_select(3, cols)


def to_windows(x: Shaped[Tensor, "b h w c"]) -> Shaped[Tensor, "n 64 c"]:
    """Cut a map into windows, batch first, then row-major."""
    b, h, w, c = x.shape
    x = x.view(b, h // WINDOW_PX, WINDOW_PX, w // WINDOW_PX, WINDOW_PX, c)
    return x.transpose(2, 3).reshape(-1, TOKENS, c)


def from_windows(windows: Float[Tensor, "n 64 c"], b: int, h: int, w: int) -> Float[Tensor, "b h w c"]:
    """The inverse of `to_windows`."""
    x = windows.view(b, h // WINDOW_PX, w // WINDOW_PX, WINDOW_PX, WINDOW_PX, -1)
    return x.transpose(2, 3).reshape(b, h, w, -1)


def shifted_mask(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "n 1 64 64"]:
    """What to add to the logits of the shifted windows of ``x``: the roll joins pixels from opposite borders.

    Such pixels lie in different regions of the rolled map: its bulk, and the strips before and after the cut.
    """
    b, _, h, w = x.shape

    def regions(n: int) -> Tensor:
        index = torch.arange(n, device=x.device)
        return (index >= n - WINDOW_PX).long() + (index >= n - WINDOW_PX // 2).long()

    region = to_windows((3 * regions(h)[:, None] + regions(w)[None])[None, :, :, None])
    masked = (region != region.transpose(1, 2)).to(x.dtype) * MASKED
    return masked[:, None].repeat(b, 1, 1, 1)


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

    def forward(self, x: Float[Tensor, "n 64 c"], mask: Float[Tensor, "n 1 64 64"] | None) -> Tensor:
        n, _, c = x.shape
        query, key, value = self.qkv(x).view(n, TOKENS, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.bias_table[self.relative_index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = bias + mask
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        out: Tensor = self.projection(mixed.transpose(1, 2).reshape(n, TOKENS, c))
        return out


class SwinLayer(nn.Module):
    """x + attention(norm(x)), x + MLP(norm(x)); the windows of a shifted layer lie half a window further."""

    def __init__(self, embedding: int, heads: int, shifted: bool, drop_rate: float):
        super().__init__()
        self.shift_px = WINDOW_PX // 2 if shifted else 0
        self.norm1 = nn.LayerNorm(embedding)
        self.attention = WindowAttention(embedding, heads)
        self.norm2 = nn.LayerNorm(embedding)
        self.mlp = nn.Sequential(
            nn.Linear(embedding, 2 * embedding), nn.GELU(), nn.Linear(2 * embedding, embedding)
        )
        self.drop = StochasticDepth(drop_rate)

    def attend(self, x: Float[Tensor, "b h w c"], mask: Tensor | None) -> Float[Tensor, "b h w c"]:
        """Attention within this layer's windows."""
        b, h, w, _ = x.shape
        if self.shift_px == 0:
            return from_windows(self.attention(to_windows(x), None), b, h, w)
        x = x.roll((-self.shift_px, -self.shift_px), dims=(1, 2))
        x = from_windows(self.attention(to_windows(x), mask), b, h, w)
        return x.roll((self.shift_px, self.shift_px), dims=(1, 2))

    def forward(self, x: Float[Tensor, "b h w c"], mask: Tensor | None) -> Float[Tensor, "b h w c"]:
        x = x + self.drop(self.attend(self.norm1(x), mask))
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out


class ResidualSwinBlock(nn.Module):
    """RSTB: Swin layers, unshifted and shifted by turns, a conv3x3, plus the input."""

    def __init__(self, embedding: int, heads: int, drop_rates: list[float]):
        super().__init__()
        self.layers = nn.ModuleList(
            SwinLayer(embedding, heads, shifted=i % 2 == 1, drop_rate=rate)
            for i, rate in enumerate(drop_rates)
        )
        self.conv = nn.Conv2d(embedding, embedding, 3, padding=1)

    def forward(self, x: Float[Tensor, "b h w c"], mask: Tensor) -> Float[Tensor, "b h w c"]:
        y = x
        for layer in self.layers:
            y = layer(y, mask)
        out: Tensor = x + self.conv(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return out


class SwinIREncoder(nn.Module):
    """SwinIR-M's trunk and the convolution that stands before its upsampler.

    **Tiles.** The windows are anchored to the first pixel, hence ``alignment_px``. The receptive field grows by
    half a window a layer and by a pixel a convolution: about 200 pixels on each side for SwinIR-M. ``halo_px`` is
    a practical margin instead: the dependence fades with distance, and the seam that remains has to be measured
    on trained weights.

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
        rates = torch.linspace(0, drop_rate, blocks * layers, device="cpu").tolist()
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
        h, w = image.shape[-2:]
        shallow = self.first(pad_to_windows(image))
        mask = shifted_mask(shallow)
        x = self.norm_in(shallow.permute(0, 2, 3, 1))
        for block in self.blocks:
            x = block(x, mask)
        deep = self.last(self.norm_out(x).permute(0, 3, 1, 2))
        out: Tensor = self.reduce(shallow + deep)[..., :h, :w]
        return out


def initialise_linear(module: nn.Module) -> None:
    """SwinIR's start: linear maps from a truncated normal of 0.02, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
