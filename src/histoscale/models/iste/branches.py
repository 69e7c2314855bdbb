"""ISTE without its encoder: the feature branch and the texture branch (Fig. 2)."""

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
    """The maps of both branches, which all scales share; cells in row-major order.

    Attributes:
        size: height and width in cells.
        queries: F_LFIC; None if the model has no pixel decoder.
        spectrum: F_Amp, F_FreqX and F_FreqY; None if the model has no texture branch.
    """

    size: tuple[int, int]
    queries: Float[Tensor, "b n c"] | None
    spectrum: Float[Tensor, "b n c3"] | None

    def split(self, images: int) -> list["Maps"]:
        """Split the batch into groups of ``images`` images."""
        queries, spectrum = (None if x is None else x.split(images) for x in (self.queries, self.spectrum))
        groups = range(len(queries or spectrum or ()))
        return [Maps(self.size, queries and queries[i], spectrum and spectrum[i]) for i in groups]

    @property
    def dtype(self) -> torch.dtype:
        """The type of offsets and weights: that of the maps, at least float32."""
        known = self.queries if self.queries is not None else self.spectrum
        return torch.float32 if known is None else at_least_single(known[:0]).dtype


@dataclass(frozen=True)
class Parts:
    """The parts of ISTE behind its encoder, and their sizes. The five switches give the rows of Table 4.

    Attributes:
        width: channels of F_LFIC, F_TL and F_STF.
        hidden: width of the decoders' hidden layers.
        keys: which textures a cell may retrieve, see `key_sets`.
        window_px: for ``queries`` the side of the blocks of cells that are rendered together; for ``cells``
            the side of the window that is searched for a block of a third of that side.
        points_per_side: for ``cells``, each cell offers this number squared of points as keys.
        lfi: the reading of Eq. 2, see `LocalInteractor`.
        local_interactor: if False, F_LR takes the place of F_LFI.
        texture_learner: if False, one convolution takes the place of TL.
        self_texture: if False, F_LFIC takes the place of F_STF.
        pixel_decoder, texture_decoder: if False, the model has no such decoder.
        max_scale: decode all larger scales with the cell of this scale, as the published code does. None: no
            limit.

    Raises:
        ConfigError: if the parts do not make a model.
    """

    width: int = 256
    hidden: int = 256
    keys: str = "queries"
    window_px: int = 48
    points_per_side: int = 2
    lfi: str = "corrected"
    local_interactor: bool = True
    texture_learner: bool = True
    self_texture: bool = True
    pixel_decoder: bool = True
    texture_decoder: bool = True
    max_scale: float | None = 4.0

    def __post_init__(self) -> None:
        if self.keys not in KEY_SETS:
            raise ConfigError(f"ISTE has no key set {self.keys!r}: keys is one of {', '.join(KEY_SETS)}.")
        if not (self.pixel_decoder or self.texture_decoder):
            raise ConfigError("ISTE has no decoder: switch pixel_decoder or texture_decoder on.")
        if self.self_texture and not self.pixel_decoder:
            raise ConfigError(
                "ISTE's self_texture needs the pixel decoder: switch pixel_decoder on, or self_texture off."
            )
        if self.window_px < 3 or self.window_px % 3:
            raise ConfigError(f"ISTE's window_px is {self.window_px}: it must be a multiple of 3.")


class Branches(nn.Module):
    """Compute from F_LR the maps that `decoding` computes colours from.

    Args:
        channels: channels of F_LR.
        parts: the parts to build and their sizes.
    """

    def __init__(self, channels: int, parts: Parts):
        super().__init__()
        width = parts.width
        self.keys, self.window_px, self.max_scale = parts.keys, parts.window_px, parts.max_scale
        # Without self-texture a cell retrieves nothing, so no key set widens the context of a tile.
        self.halo_px, self.alignment_px = context(parts.keys if parts.self_texture else None, parts.window_px)
        # Feature branch: F_LR -> LFI -> F_LFIC. Only the pixel decoder needs it.
        needs_lfi = parts.pixel_decoder and parts.local_interactor
        self.interactor = LocalInteractor(channels, parts.lfi) if needs_lfi else nn.Identity()
        self.widen = nn.Conv2d(channels, width, 3, padding=1) if parts.pixel_decoder else None
        # Texture branch: F_LR -> TL -> F_TL. The texture decoder decodes it; the fusion retrieves from it.
        texture = TextureLearner if parts.texture_learner else PlainTexture
        self.learner = texture(channels, width) if parts.texture_decoder or parts.self_texture else None
        # Where the branches meet: STF, then LPD and LTD.
        self.fusion = SelfTextureFusion(width) if parts.self_texture else None
        self.pixel_decoder = LocalPixelDecoder(width, parts.hidden) if parts.pixel_decoder else None
        self.texture_decoder = LocalTextureDecoder(width, parts.hidden) if parts.texture_decoder else None
        self.points: Tensor
        self.register_buffer("points", points_in_cell(parts.points_per_side), persistent=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Maps:
        """Compute from F_LR the maps that all scales share."""
        # Channels last: the convolutions keep this layout, and as_rows returns a view.
        features = features.contiguous(memory_format=torch.channels_last)
        queries = None if self.widen is None else as_rows(self.widen(self.interactor(features)))  # F_LFIC
        spectrum = None if self.learner is None else as_rows(self.learner(features))
        return Maps((features.shape[2], features.shape[3]), queries, spectrum)

    def texture(
        self, maps: Maps, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b c H W"]:
        """Compute F_TL on a grid; each point belongs to the cell that contains it.

        Raises:
            ConfigError: if the model has no texture branch.
        """
        if self.learner is None or maps.spectrum is None:
            raise ConfigError(
                "This ISTE has no texture branch and thus no F_TL: use weights with texture_decoder on."
            )
        # The cell of each point, its number, and X' - X, the point's offset from the cell's centre.
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
        """Return a copy without one decoder; its output is I_LPD or I_LTD of the other decoder."""
        rest = deepcopy(self)
        setattr(rest, part, None)
        return rest
