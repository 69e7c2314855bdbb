"""Upscale an image with any model, tile by tile: beside the two pictures, tiles bound the memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.errors import HistoscaleError, ScaleError, WeightsError
from histoscale.imaging.arrays import (
    Image,
    ReadWindow,
    check_image,
    empty_like,
    pixel_reader,
    to_uint8,
    wanted_size,
)
from histoscale.imaging.coords import output_positions
from histoscale.imaging.tiles import Tile, plan_tiles, span_over, split_output
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, moved
from histoscale.resources import Precision

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every block with the output pixels done so far and their total."""
AUTOMATIC_TILE_PX = 240
"""Side of a core, in low-resolution pixels, when nobody names one."""
BLOCK_SIDE_PX = 2048
"""Longest side of a block of output pixels rendered at once."""


class Block(NamedTuple):
    """A finished rectangle of the output."""

    rows: slice
    cols: slice
    pixels: Float[Tensor, "b 3 r c"]


def upscale(
    model: SuperResolver,
    image: Image,
    size: tuple[int, int] | None = None,
    *,
    scale: float | None = None,
    tile_px: int | None = None,
    precision: Precision = "fp32",
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Image:
    """Upscale an image to a size, or by a scale.

    The result does not depend on the tiles, within rounding.

    Args:
        model: any model of this package.
        image: uint8 array [h, w, 3], or float tensor [3, h, w] or [b, 3, h, w] in [0, 1].
        size: height and width of the output in pixels.
        scale: instead of ``size``; each side becomes floor(side * scale + 1/2).
        tile_px: side of a tile's core in low-resolution pixels; by default chosen for speed.
        precision: ``"bf16"`` computes in bfloat16 where that is safe, over the same weights.
        device: where to compute; the model is moved there. By default where the model is.
        progress: called after every block with output pixels done and their total.

    Returns:
        The same kind of image as given: uint8 rounded and clipped, floats of the same type and not clipped.

    Raises:
        InputError: if the image is of another shape, type or range.
        ScaleError: if the output would be smaller than the image, or the model cannot make it.
        WeightsError: if the model gives a value that is not finite.
        HistoscaleError: if the device is not there.

    Example:
        >>> import numpy as np, histoscale
        >>> model = histoscale.build("iste-fast")
        >>> histoscale.upscale(model, np.zeros((10, 20, 3), np.uint8), scale=2.7).shape
        (27, 54, 3)
    """
    check_image(image)
    h, w = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    size = wanted_size((h, w), size, scale)
    output = empty_like(image, size)
    blocks = upscale_blocks(
        model, pixel_reader(image), (h, w), size,
        tile_px=tile_px, precision=precision, device=device, progress=progress,
    )  # fmt: skip
    for rows, cols, pixels in blocks:
        if isinstance(output, np.ndarray):
            output[rows, cols] = to_uint8(pixels)[0].permute(1, 2, 0).cpu().numpy()
        else:
            output[..., rows, cols] = pixels.to(output).reshape(output[..., rows, cols].shape)
    return cast(Image, output)


def upscale_blocks(
    model: SuperResolver,
    read: ReadWindow,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    *,
    tile_px: int | None = None,
    precision: Precision = "fp32",
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """Yield the output in blocks that cover it exactly once, tile after tile in reading order.

    **Convention.** (height, width); pixels are float32, not clipped, on the device that computed them.

    Args:
        read: gives a window of the low-resolution image, which thus need not be in memory as floats.
        lr_size: height and width of the whole low-resolution image.
        size: height and width of the whole output.
        model, tile_px, precision, device, progress: as in `upscale`.

    Raises:
        ScaleError: if the output would be smaller than the image, or the model cannot make it.
        WeightsError: if the model gives a value that is not finite.
        HistoscaleError: if the device is not there.
    """
    wanted_size(lr_size, size, None)
    check_precision(precision)
    tile_px = AUTOMATIC_TILE_PX if tile_px is None else tile_px
    place = moved_to(model, device)
    done = 0
    with evaluating(model):
        for tile in tiles_for(model, lr_size, size, tile_px):
            window = as_input(read(tile.rows.window, tile.cols.window), place)
            for block in _tile_blocks(model, window, tile, lr_size, size, precision, BLOCK_SIDE_PX):
                yield block
                done += block.pixels.shape[-2] * block.pixels.shape[-1]
                if progress is not None:
                    progress(done, size[0] * size[1])


def upscale_part(
    model: SuperResolver,
    read: ReadWindow,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    part: tuple[slice, slice],
    *,
    block_px: int = BLOCK_SIDE_PX,
    precision: Precision = "fp32",
    device: torch.device | str | None = None,
) -> Iterator[Block]:
    """Yield one rectangle of the output in blocks that cover it exactly once, from one window of the image.

    The pixels are those of `upscale_blocks`, within rounding, however the output is cut into rectangles.

    Args:
        part: rows and columns of the output.
        block_px: longest side of a block; a smaller one takes less memory.
        model, read, lr_size, size, precision, device: as in `upscale_blocks`.

    Raises:
        ScaleError, WeightsError, HistoscaleError: as `upscale_blocks` does.
    """
    place = moved_to(model, device)
    spans = (
        span_over(n_in, n_out, out, model.halo_px, unit)
        for n_in, n_out, out, unit in zip(
            lr_size, size, part, alignment_for(model, lr_size, size), strict=True
        )
    )
    tile = Tile(*spans)
    with evaluating(model):
        window = as_input(read(tile.rows.window, tile.cols.window), place)
        for block in _tile_blocks(model, window, tile, lr_size, size, precision, block_px):
            rows, cols = (_common(a, b) for a, b in zip((block.rows, block.cols), part, strict=True))
            if rows.start < rows.stop and cols.start < cols.stop:
                inside = _moved(rows, -block.rows.start), _moved(cols, -block.cols.start)
                yield Block(rows, cols, block.pixels[..., inside[0], inside[1]])


def as_input(window: Float[Tensor, "b 3 h w"], place: torch.device) -> Float[Tensor, "b 3 h w"]:
    """The window where it is computed; channels last, as `evaluating` lays out the kernels."""
    return window.to(place, torch.float32).contiguous(memory_format=torch.channels_last)


def _common(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def moved_to(model: SuperResolver, device: torch.device | str | None) -> torch.device:
    """Move the model, if a device is named, and say where it is.

    Raises:
        HistoscaleError: if the device is not there.
    """
    if device is not None:
        moved(model, device)
    return next((p.device for p in model.parameters()), torch.device(device or "cpu"))


def tiles_for(
    model: SuperResolver, lr_size: tuple[int, int], size: tuple[int, int], tile_px: int
) -> tuple[Tile, ...]:
    """The tiles that give ``model`` the context it needs."""
    if tile_px < 1:
        raise ScaleError(f"Wanted a tile of at least 1 pixel, got {tile_px}.")
    return plan_tiles(lr_size, size, tile_px, model.halo_px, alignment_for(model, lr_size, size))


def alignment_for(model: SuperResolver, lr_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that windows start at multiples of.

    A model that only makes whole images gets windows whose borders fall on output pixels; at a scale that has
    no such borders inside the image, the one window is the image.
    """
    rows, cols = model.alignment_px, model.alignment_px
    if not isinstance(model, CoordinateSuperResolver):
        rows = math.lcm(rows, lr_size[0] // math.gcd(lr_size[0], size[0]))
        cols = math.lcm(cols, lr_size[1] // math.gcd(lr_size[1], size[1]))
    return rows, cols


def _tile_blocks(
    model: SuperResolver,
    window: Float[Tensor, "b 3 h w"],
    tile: Tile,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    precision: Precision,
    block_px: int,
) -> Iterator[Block]:
    """The output of one tile, cut into blocks where it is large; no torch mode is left on between blocks."""
    if not isinstance(model, CoordinateSuperResolver):
        with computing(window.device, precision):
            pixels = _whole_window(model, window, tile, lr_size, size)
        yield Block(tile.rows.out, tile.cols.out, finite(pixels))
        return
    cell = (lr_size[0] / size[0], lr_size[1] / size[1])
    with computing(window.device, precision):
        features = model.encode(window)
    for r0, r1 in split_output(tile.rows, lr_size[0], size[0], block_px, model.alignment_px):
        rows = output_positions(size[0], lr_size[0], r0, r1).to(window.device) - tile.rows.window_start
        for c0, c1 in split_output(tile.cols, lr_size[1], size[1], block_px, model.alignment_px):
            cols = output_positions(size[1], lr_size[1], c0, c1).to(window.device) - tile.cols.window_start
            with computing(window.device, precision):
                pixels = model.render(features, rows, cols, cell)
            yield Block(slice(r0, r1), slice(c0, c1), finite(pixels))


def _whole_window(
    model: SuperResolver,
    window: Float[Tensor, "b 3 h w"],
    tile: Tile,
    lr_size: tuple[int, int],
    size: tuple[int, int],
) -> Float[Tensor, "b 3 H W"]:
    """Super-resolve a window whose borders fall on output pixels, and keep its core."""
    row_start, col_start = (
        span.window_start * n_out // n_in
        for span, n_in, n_out in zip((tile.rows, tile.cols), lr_size, size, strict=True)
    )
    window_size = (
        window.shape[2] * size[0] // lr_size[0],
        window.shape[3] * size[1] // lr_size[1],
    )
    pixels = model(window, window_size)
    rows = slice(tile.rows.out_start - row_start, tile.rows.out_stop - row_start)
    cols = slice(tile.cols.out_start - col_start, tile.cols.out_stop - col_start)
    return cast(Tensor, pixels[:, :, rows, cols])


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """No gradients; in bf16, autocast."""
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield


@contextmanager
def evaluating(model: SuperResolver) -> Iterator[None]:
    """The model in evaluation mode, and afterwards in the mode it was in; its kernels stay channels last."""
    training = model.training
    model.eval()
    frozen = any(weight.is_inference() for weight in model.parameters())
    with torch.inference_mode(frozen):  # weights that can be trained can be trained afterwards
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        model.train(training)


def finite(pixels: Float[Tensor, "b 3 r c"]) -> Float[Tensor, "b 3 r c"]:
    """``pixels`` as float32, having made sure that every value is a number."""
    pixels = pixels.float()
    if not bool(torch.isfinite(pixels.sum())):  # one pass and no mask; a sum of sane pixels cannot overflow
        raise WeightsError(
            "The model gives values that are not finite: its weights are damaged or untrained."
        )
    return pixels


def check_precision(precision: str) -> None:
    """Raise `HistoscaleError` unless ``precision`` is one of `Precision`."""
    if precision not in get_args(Precision):
        raise HistoscaleError(f"Wanted precision fp32 or bf16, got {precision}.")
