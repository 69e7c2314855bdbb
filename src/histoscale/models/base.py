"""The promise every model keeps: a low-resolution image and a size in, an image of that size out."""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import HistoscaleError, ScaleError
from histoscale.imaging.coords import output_positions

Network = TypeVar("Network", bound=nn.Module)
Cell = tuple[float, float]
"""Height and width of one output pixel in low-resolution pixels: (h / H, w / W) of the whole image."""


class SuperResolver(nn.Module, ABC):
    """A low-resolution image and the wanted size in, an image of exactly that size out.

    **Convention.** RGB in [0, 1], rows first; the output is not clamped. No state survives a call.

    Attributes:
        halo_px: low-resolution pixels around a tile that its output depends on. Cutting a tile with this
            margin gives the pixels of the whole image.
        alignment_px: a tile must start at a multiple of this many low-resolution pixels of the whole image.
        scale: the only one that the model makes; None where it makes any.
    """

    halo_px: int = 0
    alignment_px: int = 1
    scale: int | None = None

    @abstractmethod
    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve ``image`` to ``size`` (height, width).

        Raises:
            ScaleError: if this model cannot make that size.
        """


class CoordinateSuperResolver(SuperResolver):
    """Answers pixel by pixel, hence at any scale: encode once, decode anywhere.

    **Convention.** Positions are low-resolution pixels of the encoded image, rows first, pixel ``i`` centred
    at ``i``. A tile is the same call as the whole image, its positions moved by the tile's origin; ``cell``
    always comes from the whole image.

    Attributes:
        points_at_once: output pixels that `render` decodes together: enough for the matrix products, few
            enough for the cache and for memory.
    """

    points_at_once: int = 2048

    @abstractmethod
    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Any:
        """Everything `decode` and `render` need, computed once per image."""

    @abstractmethod
    def decode(
        self, features: Any, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """RGB at scattered positions (row, column), as training samples them; one ``cell`` per image."""

    def render(
        self, features: Any, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """RGB on the grid ``rows`` x ``cols``: here by `decode`, of features that hold their ``image``."""
        batch = len(features.image)
        cells = features.image.new_tensor(cell).expand(batch, 2)
        blocks = [
            self.decode(features, positions.expand(batch, -1, -1), cells)
            for positions in as_grid(rows, cols).split(self.points_at_once)
        ]
        return torch.cat(blocks, dim=1).transpose(1, 2).reshape(batch, 3, len(rows), len(cols))

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        h, w = image.shape[-2:]
        if size[0] < h or size[1] < w:
            raise ScaleError(
                f"Super-resolution enlarges: wanted at least {h} x {w}, got {size[0]} x {size[1]}."
            )
        rows = output_positions(size[0], h).to(image.device)
        cols = output_positions(size[1], w).to(image.device)
        return self.render(self.encode(image), rows, cols, (h / size[0], w / size[1]))


def count_parameters(model: nn.Module) -> int:
    """Number of scalars that training sets, also of a model that is frozen."""
    return sum(p.numel() for p in model.parameters())


def as_grid(rows: Float[Tensor, " H"], cols: Float[Tensor, " W"]) -> Float[Tensor, "q 2"]:
    """The grid ``rows`` x ``cols`` as a row-major list of (row, column) positions."""
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij"), dim=-1).reshape(-1, 2)


def moved(model: Network, device: torch.device | str) -> Network:
    """The model itself, moved to a device.

    Raises:
        HistoscaleError: if the device is not there.
    """
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0].rstrip(".")
        raise HistoscaleError(f"Device {device} cannot be used: {reason}.") from None
