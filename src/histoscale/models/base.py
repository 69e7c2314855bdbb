"""The contract of every model: input, output, and the context that a tile needs."""

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

    Every model meets this contract; tests/models/test_base.py checks each of them:

    - The input is RGB in [0, 1], [b, 3, h, w]; so is the output, which is not clamped.
    - The output has exactly the given height and width, or `ScaleError` says which sizes are possible.
    - No state survives a call: the same image and size always give the same pixels.
    - A tile with ``halo_px`` pixels around it, cut at multiples of ``alignment_px``, gives the same pixels
      as the whole image.

    **Convention.** Rows first: (height, width), (row, column).

    Attributes:
        halo_px: low-resolution pixels around a tile that its output depends on.
        alignment_px: a tile must start at a multiple of this many low-resolution pixels of the whole image.
        scale: the only scale that the model supports; None if it supports any.
    """

    halo_px: int = 0
    alignment_px: int = 1
    scale: int | None = None

    @abstractmethod
    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve ``image`` to ``size`` (height, width).

        Raises:
            ScaleError: if this model does not support that size.
        """


class CoordinateSuperResolver(SuperResolver):
    """Encode an image once, then compute any part of the output at any scale.

    - `encode` computes everything that does not depend on the scale, for an image or for one tile.
    - `decode` computes RGB at scattered positions; training samples such positions.
    - `render` computes RGB on a grid; inference calls it once for each block of the output.

    **Convention.** Positions are low-resolution pixels of the encoded image, rows first; pixel ``i`` is
    centred at ``i``. For a tile, positions count from the tile's first pixel. ``cell`` is the size of an
    output pixel in low-resolution pixels. It is always computed from the whole image, because the size of a
    tile is rounded.

    Attributes:
        points_at_once: output pixels that `render` decodes together. More points make larger matrix products;
            fewer points fit the processor's cache and need less memory.
    """

    points_at_once: int = 2048

    @abstractmethod
    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Any:
        """Compute everything that `decode` and `render` need from an image.

        Returns:
            A tensor or a NamedTuple of tensors, with the batch as the first axis. If the model does not
            override `render`, the attribute ``image`` must hold the image. No value may depend on the scale.
            Callers must not modify the result, because they render many blocks from it.
        """

    @abstractmethod
    def decode(
        self, features: Any, positions: Float[Tensor, "b q 2"], cell: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions (row, column); each image has its own ``cell``."""

    def render(
        self, features: Any, rows: Float[Tensor, " H"], cols: Float[Tensor, " W"], cell: Cell
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on the grid ``rows`` x ``cols`` with `decode`; models may override it to be faster."""
        batch = len(features.image)
        cells = features.image.new_tensor(cell).expand(batch, 2)
        blocks = [
            self.decode(features, positions.expand(batch, -1, -1), cells)
            for positions in as_grid(rows, cols).split(self.points_at_once)
        ]
        return torch.cat(blocks, dim=1).transpose(1, 2).reshape(batch, 3, len(rows), len(cols))

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve ``image`` to ``size`` (height, width), each side at least that of the image.

        Raises:
            ScaleError: if a side of ``size`` is smaller than that of the image.
        """
        h, w = image.shape[-2:]
        if size[0] < h or size[1] < w:
            raise ScaleError(
                f"The output, {size[0]} x {size[1]} pixels, is smaller than the image, {h} x {w}: "
                "give a size of at least the image's."
            )
        rows = output_positions(size[0], h).to(image.device)
        cols = output_positions(size[1], w).to(image.device)
        return self.render(self.encode(image), rows, cols, (h / size[0], w / size[1]))


def count_parameters(model: nn.Module) -> int:
    """Count the trainable parameters of a model, including frozen ones."""
    return sum(p.numel() for p in model.parameters())


def as_grid(rows: Float[Tensor, " H"], cols: Float[Tensor, " W"]) -> Float[Tensor, "q 2"]:
    """Return the grid ``rows`` x ``cols`` as a row-major list of (row, column) positions."""
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij"), dim=-1).reshape(-1, 2)


def moved(model: AnyModule, device: torch.device | str) -> AnyModule:
    """Move a model to a device and return it.

    Raises:
        HistoscaleError: if the device cannot be used.
    """
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers, and the weights would be lost")
        return model.to(device)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch without CUDA raises AssertionError
        reason = str(error).splitlines()[0].rstrip(".")
        raise HistoscaleError(f"Device {device} cannot be used: {reason}.") from None
