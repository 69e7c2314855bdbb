"""A fixed-scale model at any scale: the image it makes, taken to size by bicubic interpolation."""

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.imaging.resize import bicubic_matrix, bicubic_render
from histoscale.models.base import Cell, CoordinateSuperResolver, SuperResolver

BICUBIC_HALO_PX = 3
"""Low-resolution pixels that the interpolation reaches to, at any scale from 1."""


class Resized(CoordinateSuperResolver):
    """Encode with a fixed-scale model, render by bicubic; antialiased, as Pillow does, where that reduces.

    At the model's own scale the pixels are the model's.

    Args:
        model: makes ``scale`` times the size.
        scale: the model's.
    """

    def __init__(self, model: SuperResolver, scale: int):
        super().__init__()
        self.model = model
        self.through = scale
        self.halo_px = model.halo_px + BICUBIC_HALO_PX
        self.alignment_px = model.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """The image at the model's own scale."""
        size = image.shape[2] * self.through, image.shape[3] * self.through
        enlarged: Tensor = self.model(image, size)
        return enlarged.float()

    def decode(
        self,
        features: Float[Tensor, "b 3 H W"],
        positions: Float[Tensor, "b q 2"],
        cell: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b q 3"]:
        """RGB at scattered positions."""
        return torch.stack([self._points(*one) for one in zip(features, positions, cell, strict=True)])

    def render(
        self,
        features: Float[Tensor, "b 3 h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,
    ) -> Float[Tensor, "b 3 H W"]:
        """RGB on a grid of positions."""
        support = self._support(cell[0]), self._support(cell[1])
        return bicubic_render(features, self._finer(rows), self._finer(cols), support)

    def _points(
        self, enlarged: Float[Tensor, "3 H W"], positions: Float[Tensor, "q 2"], cell: Float[Tensor, " 2"]
    ) -> Float[Tensor, "q 3"]:
        rows, cols = (
            bicubic_matrix(self._finer(positions[:, axis]), n, self._support(float(cell[axis]))).to(enlarged)
            for axis, n in enumerate(enlarged.shape[1:])
        )
        return torch.einsum("qh,chw,qw->qc", rows, enlarged, cols)

    def _finer(self, positions: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Low-resolution pixels to those of the enlarged image."""
        return (positions + 0.5) * self.through - 0.5

    def _support(self, cell: float) -> float:
        return max(1.0, self.through * cell)


def at_any_scale(model: SuperResolver) -> SuperResolver:
    """The model itself where it makes any scale, else `Resized`."""
    return model if model.scale is None else Resized(model, model.scale)
