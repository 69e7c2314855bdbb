"""LMI (Fu et al., CVPR 2024, with the COZ data): a small mixer over the sixteen nearest cells."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.encoders.registry import build_encoder
from histoscale.models.local_ensemble import as_rows, corners, pick, relative_cell

STEPS = (-3, -1, 1, 3)
TOKENS = len(STEPS) ** 2


class LMIFeatures(NamedTuple):
    """Output of `LMI.encode`.

    Attributes:
        image: the input.
        tokens: features and colour; a row per cell.
    """

    image: Float[Tensor, "b 3 h w"]
    tokens: Float[Tensor, "b n c"]


def mixing(wide: int, narrow: int) -> nn.Sequential:
    """Build two linear layers with GELU: ``wide`` to twice ``narrow`` to ``narrow``."""
    return nn.Sequential(nn.Linear(wide, 2 * narrow), nn.GELU(), nn.Linear(2 * narrow, narrow), nn.GELU())


class LMI(CoordinateSuperResolver):
    """Local mix implicit representation: mix sixteen cells over tokens, then over channels, then by area.

    A perceptron computes sixteen more columns for the token mixing from the offsets and the cell height.
    There is no skip and no normalisation. On SwinIR, LMI has 11 690 903 parameters as published.

    Args:
        encoder: ``edsr``, ``rdn`` or ``swinir``.
        blocks, channels: blocks and width of the encoder; None: the published number of blocks.

    Raises:
        ConfigError: if the encoder is unknown.
    """

    points_at_once = 512  # each has sixteen tokens

    def __init__(self, encoder: str = "edsr", blocks: int | None = None, channels: int = 64):
        super().__init__()
        self.encoder = build_encoder(encoder, blocks, channels)
        self.places = nn.Sequential(
            nn.Linear(2 * TOKENS + 1, channels), nn.ReLU(), nn.Linear(channels, channels * TOKENS)
        )
        self.mix_tokens = mixing(2 * TOKENS, TOKENS)
        self.mix_channels = mixing(channels + 6, channels)  # 6: colour, offset, cell height
        self.last = nn.Linear(channels, 3)
        self.halo_px = self.encoder.halo_px + 2
        self.alignment_px = self.encoder.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> LMIFeatures:
        """Compute features and colour of every cell."""
        normalised = image * 2 - 1
        return LMIFeatures(image, as_rows(torch.cat((self.encoder(normalised), normalised), dim=1)))

    def decode(
        self, features: LMIFeatures, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column)."""
        image = features.image
        found = corners(positions, (image.shape[2], image.shape[3]), image.dtype, steps=STEPS)
        # Sixteen tokens per point, [b, q, 16, ..]; only the height of an output pixel is an input.
        cells, offsets, weights = (torch.stack(parts, dim=2) for parts in zip(*found, strict=True))
        tokens = pick(features.tokens, cells.flatten(1)).unflatten(1, cells.shape[1:])
        height = relative_cell(cell.to(image))[:, None, :1].expand(*positions.shape[:2], 1)
        colours: Tensor = self.last(self._mixed(tokens, offsets, height))
        return (colours * weights[..., None]).sum(dim=2) * 0.5 + 0.5

    def _mixed(
        self,
        tokens: Float[Tensor, "b q t c3"],
        offsets: Float[Tensor, "b q t 2"],
        height: Float[Tensor, "b q 1"],
    ) -> Float[Tensor, "b q t c"]:
        """Apply the mixer's block. Its two skips add the tokens twice, as published."""
        x, colour = tokens[..., :-3], tokens[..., -3:]
        places = self.places(torch.cat((offsets.flatten(2), height), dim=-1))
        # Mix over tokens: each channel is a row of 16 tokens and 16 columns computed from the places.
        columns = torch.cat((x.transpose(2, 3), places.unflatten(2, (-1, TOKENS))), dim=-1)
        y: Tensor = x + self.mix_tokens(columns).transpose(2, 3)
        # Mix over channels: each token with its colour, offset and cell height.
        heights = height[:, :, None].expand(*offsets.shape[:3], 1)
        y = y + self.mix_channels(torch.cat((y, colour, offsets, heights), dim=-1))
        return x + y
