"""Any scale from a fixed-scale model: bicubic interpolation of the model's own output."""

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.imaging.resize import bicubic_matrix, bicubic_render
from histoscale.models.base import Cell, CoordinateSuperResolver, SuperResolver

BICUBIC_HALO_PX = 3
"""Reach of the interpolation in low-resolution pixels, at any scale from 1."""


class Resized(CoordinateSuperResolver):
    """Encode with a fixed-scale model, render by bicubic interpolation, antialiased below its scale.

    At the model's own scale the pixels are those of the model.

    Args:
        model: a model of one scale.
        scale: of the model.
    """

    def __init__(self, model: SuperResolver, scale: int):
        super().__init__()
        self.model = model
        self.through = scale
        self.halo_px = model.halo_px + BICUBIC_HALO_PX
        self.alignment_px = model.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve the image at the model's own scale."""
        size = image.shape[2] * self.through, image.shape[3] * self.through
        upscaled: Tensor = self.model(image, size)
        return upscaled.float()

    def decode(
        self,
        features: Float[Tensor, "b 3 H W"],
        positions: Float[Tensor, "b q 2"],
        cell: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b q 3"]:
        """Compute RGB at scattered positions."""
        return torch.stack([self._points(*one) for one in zip(features, positions, cell, strict=True)])

    def render(
        self,
        features: Float[Tensor, "b 3 h w"],
        rows: Float[Tensor, " H"],
        cols: Float[Tensor, " W"],
        cell: Cell,
    ) -> Float[Tensor, "b 3 H W"]:
        """Compute RGB on a grid of positions."""
        support = self._support(cell[0]), self._support(cell[1])
        return bicubic_render(features, self._in_upscaled_px(rows), self._in_upscaled_px(cols), support)

    def _points(
        self, upscaled: Float[Tensor, "3 H W"], positions: Float[Tensor, "q 2"], cell: Float[Tensor, " 2"]
    ) -> Float[Tensor, "q 3"]:
        rows, cols = (
            bicubic_matrix(self._in_upscaled_px(positions[:, axis]), n, self._support(float(cell[axis]))).to(
                upscaled
            )
            for axis, n in enumerate(upscaled.shape[1:])
        )
        return torch.einsum("qh,chw,qw->qc", rows, upscaled, cols)

    def _in_upscaled_px(self, positions: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Convert positions from low-resolution pixels to pixels of the upscaled image."""
        return (positions + 0.5) * self.through - 0.5

    def _support(self, cell: float) -> float:
        return max(1.0, self.through * cell)


def at_any_scale(model: SuperResolver) -> SuperResolver:
    """Return the model itself if it makes any scale, else the model in `Resized`."""
    return model if model.scale is None else Resized(model, model.scale)
