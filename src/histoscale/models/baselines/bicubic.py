"""Bicubic interpolation as a model: the baseline of every comparison."""

from jaxtyping import Float
from torch import Tensor

from histoscale.imaging.resize import bicubic_points, bicubic_render
from histoscale.models.base import Cell, CoordinateSuperResolver


class Bicubic(CoordinateSuperResolver):
    """Keys' cubic kernel with a = -1/2, as in Pillow, but not rounded to uint8; no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.halo_px = 2

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return the image itself."""
        return image

    def decode(
        self,
        features: Float[Tensor, "b 3 h w"],
        positions: Float[Tensor, "b q 2"],
        cell: Float[Tensor, "b 2"],  # noqa: ARG002
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions; the size of an output pixel has no effect."""
        return bicubic_points(features, positions)

    def render(
        self,
        features: Float[Tensor, "b 3 h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,  # noqa: ARG002
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid of positions."""
        return bicubic_render(features, rows, cols)
