"""The contract of every model: what goes in, what comes out, and what tiles may rely on."""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import HistoscaleError, ScaleError
from histoscale.imaging.coords import output_positions

AnyModule = TypeVar("AnyModule", bound=nn.Module)
Cell = tuple[float, float]
"""Height and width of one output pixel in low-resolution pixels: (h / H, w / W) of the whole image."""


class SuperResolver(nn.Module, ABC):
    """Turn a low-resolution image and a size into an image of exactly that size.

    Every model keeps this promise, and tests/models/test_base.py checks it for each of them:

    - The input is RGB in [0, 1], [b, 3, h, w]; so is the output, which is not clamped.
    - The output has exactly the height and width asked for, or `ScaleError` says what the model can make.
    - No state survives a call: the same image and size give the same pixels, whatever came before.
    - A tile with ``halo_px`` pixels around it, cut at multiples of ``alignment_px``, gives the pixels that
      the whole image has there.

    **Convention.** Rows first: (height, width), (row, column).

    Attributes:
        halo_px: low-resolution pixels around a tile that its output depends on.
        alignment_px: a tile must start at a multiple of this many low-resolution pixels of the whole image.
        scale: the only scale that the model makes; None if it makes any.
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
    """Encode an image once, then compute any of its output pixels: at any scale, in any part.

    - `encode` does all that does not depend on the scale, on the image or on one tile of it.
    - `decode` gives RGB at scattered positions, as training samples them.
    - `render` gives RGB on a grid, as inference needs it; a block of the output is a call of its own.

    **Convention.** Positions are low-resolution pixels of the encoded image, rows first; pixel ``i`` has its
    centre at ``i``. A tile is the same call as the whole image, with positions counted from the tile's first
    pixel. ``cell`` is the size of an output pixel in low-resolution pixels, and always that of the whole
    image: a tile whose size is rounded must not change it.

    Attributes:
        points_at_once: output pixels that `render` decodes together: enough for the matrix products, few
            enough for the cache and for memory.
    """

    points_at_once: int = 2048

    @abstractmethod
    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Any:
        """Compute everything that `decode` and `render` need of an image, once.

        Returns:
            What the model likes: tensors, or a NamedTuple of them, with the batch as the first axis. If the
            model does not override `render`, the attribute ``image`` must hold the image. Nothing of it may
            depend on the scale, and it must not be changed afterwards: many blocks are rendered from it.
        """

    @abstractmethod
    def decode(
        self, features: Any, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column); ``cell`` may differ from image to image."""

    def render(
        self, features: Any, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on the grid ``rows`` x ``cols``: here with `decode`, faster where overridden."""
        batch = len(features.image)
        cells = features.image.new_tensor(cell).expand(batch, 2)
        blocks = [
            self.decode(features, positions.expand(batch, -1, -1), cells)
            for positions in as_grid(rows, cols).split(self.points_at_once)
        ]
        return torch.cat(blocks, dim=1).transpose(1, 2).reshape(batch, 3, len(rows), len(cols))

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve ``image`` to ``size`` (height, width), no side smaller than the image's.

        Raises:
            ScaleError: if a side would shrink.
        """
        h, w = image.shape[-2:]
        if size[0] < h or size[1] < w:
            raise ScaleError(
                f"The output, {size[0]} x {size[1]} pixels, is smaller than the image, {h} x {w}: "
                "super-resolution only makes images larger."
            )
        rows = output_positions(size[0], h).to(image.device)
        cols = output_positions(size[1], w).to(image.device)
        return self.render(self.encode(image), rows, cols, (h / size[0], w / size[1]))


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training sets, also of a model that is frozen."""
    return sum(p.numel() for p in model.parameters())


def as_grid(rows: Float[Tensor, " H"], cols: Float[Tensor, " W"]) -> Float[Tensor, "q 2"]:
    """The grid ``rows`` x ``cols`` as a row-major list of (row, column) positions."""
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij"), dim=-1).reshape(-1, 2)


def moved(model: AnyModule, device: torch.device | str) -> AnyModule:
    """Move a model to a device and return it.

    Raises:
        HistoscaleError: if the device cannot be used.
    """
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0].rstrip(".")
        raise HistoscaleError(f"Device {device} cannot be used: {reason}.") from None
