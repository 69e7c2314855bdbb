"""Any scale from a fixed-scale model: interpolate its output bicubically."""

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.imaging.resize import bicubic_matrix, bicubic_render
from histoscale.models.base import Cell, CoordinateSuperResolver, SuperResolver

BICUBIC_HALO_PX = 3
"""Low-resolution pixels that the interpolation needs around a tile, at every scale of at least 1."""


class Resized(CoordinateSuperResolver):
    """Upscale with a fixed-scale model, then interpolate its output bicubically to any scale.

    Below the model's scale the interpolation is antialiased. At the model's scale the pixels do not change.

    Args:
        model: a model of one scale.
        scale: the scale of the model.
    """

    def __init__(self, model: SuperResolver, scale: int):
        super().__init__()
        self.model = model
        self.through = scale
        # The model's own context, and the pixels of its output that the kernel reaches.
        self.halo_px = model.halo_px + BICUBIC_HALO_PX
        self.alignment_px = model.alignment_px

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve the image at the model's scale."""
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
        # One matrix of weights per axis, [q, H] and [q, W]; row q holds the weights of point q.
        rows, cols = (
            bicubic_matrix(self._in_upscaled_px(positions[:, axis]), n, self._support(float(cell[axis]))).to(
                upscaled
            )
            for axis, n in enumerate(upscaled.shape[1:])
        )
        return torch.einsum("qh,chw,qw->qc", rows, upscaled, cols)

    def _in_upscaled_px(self, positions: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Convert positions from low-resolution pixels to pixels of the upscaled image."""
        # Pixel i is centred at i, so the first pixel starts at -0.5 on both grids.
        return (positions + 0.5) * self.through - 0.5

    def _support(self, cell: float) -> float:
        """Return the stretch of the kernel: pixels of the upscaled image per output pixel, at least 1."""
        # Below the model's scale an output pixel covers several upscaled pixels; a wide kernel averages them.
        return max(1.0, self.through * cell)


def at_any_scale(model: SuperResolver) -> SuperResolver:
    """Return the model itself if it supports any scale, else the model wrapped in `Resized`."""
    return model if model.scale is None else Resized(model, model.scale)
