"""The local feature interactor (LFI): each cell attends to its 3 x 3 window (Fig. 3, Eq. 2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, unfold

from histoscale.errors import ConfigError

MODES = ("corrected", "printed", "code", "scrambled")
"""The readings of Eq. 2: see `LocalInteractor`."""

HEADS = 8


class LocalInteractor(nn.Module):
    """Eq. (2): F_LFI, the sum of ten values weighted by the softmax of query times key.

    The ten tokens are the cell itself, its eight neighbours and the mean of these nine; outside the map the
    window is mirrored. Keys and values are projected once per cell. The projection is affine, so key, value
    and logit of the mean token are the means of the nine keys, values and logits.

    Args:
        channels: channels of F_LR.
        mode: the reading of the equation.
            ``corrected``: eight heads, logits divided by sqrt(d) inside the exponent, output projection.
            ``printed``: as printed: one head, unscaled logits, the result divided by sqrt(d), no projection.
            ``code``: as ``corrected``, with an eleventh, unscaled logit as in the published code: the query
            times a second projection of the cell. It takes a share of the softmax but has no value.
            ``scrambled``: as ``code``, and the windows are cut as in the published code. The values of nine
            cells, channel by channel, are split into nine runs, each of which mixes channels and cells. For
            weights that were trained in this way.

    Raises:
        ConfigError: if the mode is unknown or the heads do not divide the channels.
    """

    def __init__(self, channels: int = 64, mode: str = "corrected"):
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f"The local interactor has no mode {mode!r}: lfi is one of {', '.join(MODES)}.")
        self.heads = 1 if mode == "printed" else HEADS
        if channels % self.heads:
            raise ConfigError(
                f"The local interactor has {channels} channels: they must be a multiple of {HEADS}."
            )
        self.mode = mode
        self.parts = 2 if mode in ("code", "scrambled") else 1
        self.queries = nn.Conv2d(channels, self.parts * channels, 1)
        self.keys_values = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Identity() if mode == "printed" else nn.Conv2d(channels, channels, 1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Compute F_LFI from F_LR."""
        # A query per cell and head, [b, heads, d, h, w]; `code` and `scrambled` have a second.
        query, *second = [self._by_head(part) for part in self.queries(features).chunk(self.parts, dim=1)]
        keys, values = self._keys_values(features)
        # q . k for the nine cells of the window, [9, b, heads, h, w]; `_attention` adds the mean token.
        logits = torch.stack([(query * key).sum(dim=2) for key in keys])
        weights = self._attention(logits, query.shape[2], *[(query * own).sum(dim=2) for own in second])
        # F_LFI: the sum of the values, one shift of the map after another, never all nine in memory.
        mixed = torch.zeros_like(query)
        for weight, value in zip(weights.to(query.dtype), values, strict=True):
            mixed = mixed + weight[:, :, None] * value
        projected: Tensor = self.project(mixed.flatten(1, 2))
        return projected

    def _keys_values(self, features: Float[Tensor, "b c h w"]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute keys and values of the nine cells of each window, [b heads d h w] each."""
        if self.mode == "scrambled":
            # unfold orders by channel, then by cell; each of nine equal runs mixes channels and cells.
            runs = unfold(_mirror(features), 3).unflatten(2, features.shape[2:]).chunk(9, dim=1)
            pairs = [self.keys_values(run).chunk(2, dim=1) for run in runs]
            return [self._by_head(key) for key, _ in pairs], [self._by_head(value) for _, value in pairs]
        # Project each cell once; the window of a cell is nine shifts of the mirrored map.
        keys, values = (self._by_head(part) for part in _mirror(self.keys_values(features)).chunk(2, dim=1))
        return _window(keys), _window(values)

    def _by_head(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads d h w"]:
        """Split the channels into heads."""
        # Contiguous rows make the nine shifted products fast.
        by_head: Tensor = x.contiguous().unflatten(1, (self.heads, -1))
        return by_head

    def _attention(
        self, logits: Float[Tensor, "9 b heads h w"], d: int, *own: Float[Tensor, "b heads h w"]
    ) -> Float[Tensor, "9 b heads h w"]:
        """Compute the softmax over all tokens; return a weight for each of the nine cells."""
        if self.mode != "printed":
            logits = logits / math.sqrt(d)
        tokens = torch.cat([logits, logits.mean(dim=0, keepdim=True), *[logit[None] for logit in own]])
        shares = tokens.softmax(dim=0)
        # The mean token's value is the mean of the nine values: each gets a ninth of its share. The share of
        # the eleventh token is dropped, because it has no value.
        weights = shares[:9] + shares[9] / 9
        return weights / math.sqrt(d) if self.mode == "printed" else weights


def _mirror(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h+2 w+2"]:
    """Extend the map by one cell on each side by reflection."""
    # Reflection needs two pixels: repeat a single one.
    return pad(x, (1, 1, 1, 1), mode="reflect" if min(x.shape[-2:]) > 1 else "replicate")


def _window(mirrored: Float[Tensor, "b heads d _ _"]) -> list[Float[Tensor, "b heads d h w"]]:
    """Return the nine shifts of the map that align each cell with the cells of its window."""
    h, w = mirrored.shape[-2] - 2, mirrored.shape[-1] - 2
    return [mirrored[..., i : i + h, j : j + w] for i in range(3) for j in range(3)]
