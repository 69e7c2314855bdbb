"""Compute rectangles of a slide's output by a model, in halves if memory runs out."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from histoscale import weights
from histoscale.errors import HistoscaleError, WeightsError
from histoscale.imaging.arrays import pixel_reader, to_uint8
from histoscale.inference import upscale_part
from histoscale.models.any_scale import at_any_scale
from histoscale.resources import is_out_of_memory
from histoscale.upscaling.memory import BLOCK_PX
from histoscale.upscaling.plan import ModelSetting, Part, SlidePlan

ReadPixels: TypeAlias = Callable[[slice, slice], UInt8[np.ndarray, "h w 3"]]
SMALLEST_PART_PX = 64
"""Side of a part that is not halved further."""


class TileModel:
    """A loaded model for the tiles of one plan.

    Raises:
        WeightsError: if the weights are missing, damaged or of another architecture.
    """

    def __init__(self, plan: SlidePlan, setting: ModelSetting):
        self._plan, self._setting = plan, setting
        self._device = torch.device(setting.device)
        loaded = weights.load(setting.name, self._device)
        if weights.card(setting.name).sha256 != setting.sha256:
            raise WeightsError(f"The weights in {setting.name} have changed since this run was started.")
        self._model = at_any_scale(loaded) if setting.through else loaded

    def upscale(self, part: Part, read: ReadPixels) -> tuple[UInt8[np.ndarray, "H W 3"], int, int]:
        """Compute a rectangle; return its pixels, their number and the number of pieces.

        Args:
            part: of the output.
            read: rows and columns of the input in, their pixels out.

        Raises:
            HistoscaleError: if memory runs out for the smallest part.
        """
        rows, cols = part
        height, width = rows.stop - rows.start, cols.stop - cols.start
        try:
            return self._in_one_piece(part, read), height * width, 1
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if max(height, width) <= SMALLEST_PART_PX:
                raise HistoscaleError(
                    f"Memory ran out for {width} x {height} output pixels: use fewer --workers."
                ) from error
        # The pixels of a part do not depend on how it is cut, within rounding.
        halves = [self.upscale(half, read) for half in halved(part)]
        pixels = np.concatenate([half[0] for half in halves], axis=int(width > height))
        return pixels, height * width, sum(half[2] for half in halves)

    def _in_one_piece(self, part: Part, read: ReadPixels) -> UInt8[np.ndarray, "H W 3"]:
        (top, bottom), (left, right) = ((side.start, side.stop) for side in part)
        output = np.empty((bottom - top, right - left, 3), np.uint8)

        # One window is read for the whole part, halo included, and converted to floats once.
        def window(rows: slice, cols: slice) -> Tensor:
            return pixel_reader(read(rows, cols))(slice(None), slice(None))

        blocks = upscale_part(
            self._model,
            window,
            self._plan.level_size_xy[::-1],
            self._plan.size_xy[::-1],
            part,
            block_px=BLOCK_PX,
            precision=self._setting.precision,
            device=self._device,
        )
        for rows, cols, block in blocks:
            inside = output[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
            colours = in_grey(block) if self._plan.is_grey else block
            inside[:] = to_uint8(colours)[0].permute(1, 2, 0).cpu().numpy()
        return output


def in_grey(block: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """The mean of the channels, three times: models colour grey images a little."""
    return block.clamp(0, 1).mean(1, keepdim=True).expand_as(block)


def halved(part: Part) -> tuple[Part, Part]:
    """The two halves of a rectangle, cut across its longer side."""
    rows, cols = part
    if cols.stop - cols.start > rows.stop - rows.start:
        middle = (cols.start + cols.stop) // 2
        return (rows, slice(cols.start, middle)), (rows, slice(middle, cols.stop))
    middle = (rows.start + rows.stop) // 2
    return (slice(rows.start, middle), cols), (slice(middle, rows.stop), cols)
