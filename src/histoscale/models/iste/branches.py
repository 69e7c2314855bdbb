"""ISTE without its encoder: the feature branch and the texture branch. Fig. 2."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.models.base import Cell, as_grid
from histoscale.models.iste.decoders import LocalPixelDecoder, LocalTextureDecoder
from histoscale.models.iste.fusion import SelfTextureFusion, at_least_single
from histoscale.models.iste.key_sets import KEY_SETS, context, points_in_cell
from histoscale.models.iste.local_interactor import LocalInteractor
from histoscale.models.iste.texture_learner import PlainTexture, TextureLearner
from histoscale.models.local_ensemble import as_rows, nearest_cells, pick, relative_cell


@dataclass(frozen=True)
class Maps:
    """The maps of both branches, which do not depend on the scale; cells in row-major order.

    Attributes:
        size: height and width in cells.
        queries: F_LFIC; None without a pixel decoder.
        spectrum: F_Amp, F_FreqX and F_FreqY; None without texture.
    """

    size: tuple[int, int]
    queries: Float[Tensor, "b n c"] | None
    spectrum: Float[Tensor, "b n c3"] | None

    def split(self, images: int) -> list["Maps"]:
        """Split into groups of ``images`` images."""
        queries, spectrum = (None if x is None else x.split(images) for x in (self.queries, self.spectrum))
        groups = range(len(queries or spectrum or ()))
        return [Maps(self.size, queries and queries[i], spectrum and spectrum[i]) for i in groups]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of offsets and weights."""
        known = self.queries if self.queries is not None else self.spectrum
        return torch.float32 if known is None else at_least_single(known[:0]).dtype


class Branches(nn.Module):
    """F_LR to the maps that `decoding` computes colours from. The switches make every row of Table 4.

    Args:
        channels: of F_LR.
        width, hidden: of F_LFIC, F_TL and F_STF, and of the decoders.
        keys: which textures a cell may retrieve, see `key_sets`.
        window_px: ``queries``: side of the blocks of cells rendered together; ``cells``: side of the window
            that a block of a third of it searches.
        points_per_side: ``cells``: each cell offers this many points squared.
        lfi: reading of Eq. 2, see `LocalInteractor`.
        local_interactor, texture_learner, self_texture, pixel_decoder, texture_decoder: False leaves the part
            out: F_LR in place of F_LFI, one convolution in place of TL, F_LFIC in place of F_STF.
        max_scale: decode larger scales with this one's cell, as the published code does; None: never.

    Raises:
        ConfigError: if the parts do not make a model or an argument is unknown.
    """

    def __init__(
        self,
        channels: int = 64,
        width: int = 256,
        hidden: int = 256,
        *,
        keys: str = "queries",
        window_px: int = 48,
        points_per_side: int = 2,
        lfi: str = "corrected",
        local_interactor: bool = True,
        texture_learner: bool = True,
        self_texture: bool = True,
        pixel_decoder: bool = True,
        texture_decoder: bool = True,
        max_scale: float | None = 4.0,
    ):
        super().__init__()
        if keys not in KEY_SETS:
            raise ConfigError(f"ISTE has no key set {keys!r}: keys is one of {', '.join(KEY_SETS)}.")
        if not (pixel_decoder or texture_decoder):
            raise ConfigError("ISTE has no decoder: switch pixel_decoder or texture_decoder on.")
        if self_texture and not pixel_decoder:
            raise ConfigError(
                "ISTE's self_texture needs the pixel decoder: switch pixel_decoder on, or self_texture off."
            )
        if window_px < 3 or window_px % 3:
            raise ConfigError(f"ISTE's window_px is {window_px}: it must be a multiple of 3.")
        self.keys, self.window_px, self.max_scale = keys, window_px, max_scale
        self.halo_px, self.alignment_px = context(keys, window_px) if self_texture else context(None, 1)
        texture = TextureLearner if texture_learner else PlainTexture
        self.interactor = (
            LocalInteractor(channels, lfi) if pixel_decoder and local_interactor else nn.Identity()
        )
        self.widen = nn.Conv2d(channels, width, 3, padding=1) if pixel_decoder else None
        self.learner = texture(channels, width) if texture_decoder or self_texture else None
        self.fusion = SelfTextureFusion(width) if self_texture else None
        self.pixel_decoder = LocalPixelDecoder(width, hidden) if pixel_decoder else None
        self.texture_decoder = LocalTextureDecoder(width, hidden) if texture_decoder else None
        self.points: Tensor
        self.register_buffer("points", points_in_cell(points_per_side), persistent=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Maps:
        """Compute from F_LR the maps that all scales share."""
        features = features.contiguous(memory_format=torch.channels_last)
        queries = None if self.widen is None else as_rows(self.widen(self.interactor(features)))  # F_LFIC
        spectrum = None if self.learner is None else as_rows(self.learner(features))
        return Maps((features.shape[2], features.shape[3]), queries, spectrum)

    def texture(
        self, maps: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b c H W"]:
        """Compute F_TL on a grid, each point seen from the cell that it lies in.

        Raises:
            ConfigError: if there is no texture learner, nor a convolution in its place.
        """
        if self.learner is None or maps.spectrum is None:
            raise ConfigError(
                "This ISTE has no texture branch, hence no F_TL: use one with its texture decoder on."
            )
        positions = as_grid(rows, cols)
        cells = nearest_cells(positions)
        images = len(maps.spectrum)
        number = (cells[:, 0] * maps.size[1] + cells[:, 1]).expand(images, -1)
        offset = (2 * (positions - cells)).to(maps.dtype).expand(images, -1, -1)
        step = torch.tensor([cell], dtype=torch.float64, device=rows.device)
        c = relative_cell(step, self.max_scale).to(maps.dtype).expand(images, -1)
        texture = self.learner.texture(pick(maps.spectrum, number), offset, c).transpose(1, 2)
        on_grid: Tensor = texture.unflatten(2, (len(rows), len(cols)))
        return on_grid

    def without(self, part: Literal["pixel_decoder", "texture_decoder"]) -> "Branches":
        """Return a copy without one decoder, whose output is the other decoder's I_LPD or I_LTD alone."""
        rest = deepcopy(self)
        setattr(rest, part, None)
        return rest
