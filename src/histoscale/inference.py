"""Upscale an image with any model, tile by tile; beside the two images only one tile is in memory."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import HistoscaleError, InputError, ScaleError, WeightsError
from histoscale.imaging.arrays import (
    Image,
    ReadWindow,
    check_image,
    empty_like,
    is_whole,
    output_size,
    pixel_reader,
    to_uint8,
)
from histoscale.imaging.coords import output_positions
from histoscale.imaging.tiles import Tile, plan_tiles, span_over, split_output
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, moved
from histoscale.resources import Precision

Progress: TypeAlias = Callable[[int, int], None]
"""Called after each block with the number of finished output pixels and their total."""
AUTOMATIC_TILE_PX = 240
"""Default side of a core in low-resolution pixels."""
BLOCK_SIDE_PX = 2048
"""Longest side of a block of output pixels that is rendered at once."""


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
    """Upscale an image to a size or by a scale.

    Up to rounding, the result does not depend on the tiles.

    Args:
        model: any model of this package.
        image: uint8 array [h, w, 3], or float tensor [3, h, w] or [b, 3, h, w] in [0, 1].
        size: height and width of the output in pixels.
        scale: instead of ``size``; each side becomes floor(side * scale + 1/2).
        tile_px: side of a tile's core in low-resolution pixels. Default: 240.
        precision: ``"bf16"`` computes in bfloat16 with the same weights where autocast permits it.
        device: the device to compute on; the model is moved to it. Default: the device of the model.
        progress: called after each block with the number of finished output pixels and their total.

    Returns:
        An image of the same type as the input: uint8 rounded and clipped, or floats that are not clipped.

    Raises:
        InputError: if the image has another shape, type or range.
        ScaleError: if the size is smaller than the image or the model does not support it.
        WeightsError: if the model gives a value that is not finite.
        HistoscaleError: if the device cannot be used.

    Example:
        >>> import numpy as np, histoscale
        >>> model = histoscale.build("iste-fast")
        >>> histoscale.upscale(model, np.zeros((10, 20, 3), np.uint8), scale=2.7).shape
        (27, 54, 3)
    """
    if not isinstance(model, SuperResolver):
        raise InputError(f"The model must come from histoscale.load or build, but is {type(model).__name__}.")
    check_image(image)
    h, w = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    size = output_size((h, w), size, scale)
    output = empty_like(image, size)
    blocks = upscale_blocks(
        model, pixel_reader(image), (h, w), size,
        tile_px=tile_px, precision=precision, device=device, progress=progress,
    )  # fmt: skip
    for rows, cols, pixels in blocks:
        # Arrays are rows x columns x colours in bytes; tensors have colours first and keep their type.
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
    """Yield the output in blocks that cover it exactly once, tile by tile in reading order.

    **Convention.** (height, width); pixels are float32, not clipped, on the device that computed them.

    Args:
        read: returns a window of the low-resolution image, so that the image need not be in memory as floats.
        lr_size: height and width of the whole low-resolution image.
        size: height and width of the whole output.
        model, tile_px, precision, device, progress: as in `upscale`.

    Raises:
        ScaleError: if the size is smaller than the image or the model does not support it.
        WeightsError: if the model gives a value that is not finite.
        HistoscaleError: if the device cannot be used.
    """
    output_size(lr_size, size, None)  # checks the size
    check_precision(precision)
    tile_px = AUTOMATIC_TILE_PX if tile_px is None else tile_px
    place = moved_to(model, device)
    done = 0  # output pixels
    with evaluating(model):
        # The window of a tile is its core and its halo; one window is in memory at a time.
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

    Up to rounding, the pixels equal those of `upscale_blocks`, for any division of the output.

    Args:
        part: rows and columns of the output.
        block_px: longest side of a block; smaller blocks need less memory.
        model, read, lr_size, size, precision, device: as in `upscale_blocks`.

    Raises:
        ScaleError, WeightsError, HistoscaleError: as `upscale_blocks` does.
    """
    place = moved_to(model, device)
    # The smallest core of aligned cells that covers the rectangle, with its halo.
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
            # The blocks may extend beyond the rectangle: keep what lies inside it.
            rows, cols = (_common(a, b) for a, b in zip((block.rows, block.cols), part, strict=True))
            if rows.start < rows.stop and cols.start < cols.stop:
                inside = _moved(rows, -block.rows.start), _moved(cols, -block.cols.start)
                yield Block(rows, cols, block.pixels[..., inside[0], inside[1]])


def as_input(window: Float[Tensor, "b 3 h w"], place: torch.device) -> Float[Tensor, "b 3 h w"]:
    """Move a window to the device, as float32 and channels last like the kernels in `evaluating`."""
    return window.to(place, torch.float32).contiguous(memory_format=torch.channels_last)


def _common(a: slice, b: slice) -> slice:
    """Intersect two ranges."""
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def _moved(part: slice, by: int) -> slice:
    """Shift a range."""
    return slice(part.start + by, part.stop + by)


def moved_to(model: SuperResolver, device: torch.device | str | None) -> torch.device:
    """Move the model to ``device``, if one is given, and return the device of the model.

    Raises:
        HistoscaleError: if the device cannot be used.
    """
    if device is not None:
        moved(model, device)
    return next((p.device for p in model.parameters()), torch.device(device or "cpu"))


def tiles_for(
    model: SuperResolver, lr_size: tuple[int, int], size: tuple[int, int], tile_px: int
) -> tuple[Tile, ...]:
    """Return tiles with the context that ``model`` needs."""
    if not is_whole(tile_px) or tile_px < 1:
        raise ScaleError(f"Expected a tile of a whole number of pixels, at least 1, found {tile_px!r}.")
    return plan_tiles(lr_size, size, tile_px, model.halo_px, alignment_for(model, lr_size, size))


def alignment_for(model: SuperResolver, lr_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the numbers of rows and columns whose multiples windows start at.

    A model that only upscales whole images needs windows whose borders are also borders of output pixels. If
    the scale has no such borders inside the image, the only window is the image.
    """
    rows, cols = model.alignment_px, model.alignment_px
    if not isinstance(model, CoordinateSuperResolver):
        # n_in / gcd(n_in, n_out) cells are the fewest that a whole number of output pixels covers.
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
    """Yield the output of one tile, in blocks of at most ``block_px``.

    Between two blocks the torch modes of `computing` are off, because the caller runs then.
    """
    # A model without coordinates upscales the window as a whole.
    if not isinstance(model, CoordinateSuperResolver):
        with computing(window.device, precision):
            pixels = _whole_window(model, window, tile, lr_size, size)
        yield Block(tile.rows.out, tile.cols.out, finite(pixels))
        return
    # Encode the window once, then render its blocks; positions count from the first pixel of the window.
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
    """Super-resolve a window whose borders are borders of output pixels, and crop to its core."""
    # The first output pixel of the window, and the size of its output: exact divisions by `alignment_for`.
    row_start, col_start = (
        span.window_start * n_out // n_in
        for span, n_in, n_out in zip((tile.rows, tile.cols), lr_size, size, strict=True)
    )
    window_size = (
        window.shape[2] * size[0] // lr_size[0],
        window.shape[3] * size[1] // lr_size[1],
    )
    pixels = model(window, window_size)
    # The output pixels of the core, counted from those of the window.
    rows = slice(tile.rows.out_start - row_start, tile.rows.out_stop - row_start)
    cols = slice(tile.cols.out_start - col_start, tile.cols.out_stop - col_start)
    return cast(Tensor, pixels[:, :, rows, cols])


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute without gradients; in bf16 with autocast."""
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield


_in_use: dict[nn.Module, tuple[int, dict[nn.Module, bool]]] = {}
"""Of each model in use: by how many callers, and the mode that each of its parts was in before."""
_in_use_lock = threading.Lock()


@contextmanager
def evaluating(model: SuperResolver) -> Iterator[None]:
    """Set the model to evaluation mode and restore each part's mode at the end; kernels stay channels last.

    Several threads may use one model: the last of them restores the modes.
    """
    with _in_use_lock:
        callers, modes = _in_use.get(model, (0, {}))
        if not callers:
            modes = {part: part.training for part in model.modules()}
            model.eval()
            frozen = any(weight.is_inference() for weight in model.parameters())
            with torch.inference_mode(frozen):  # else they could not be trained again
                model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _in_use[model] = callers + 1, modes
    try:
        yield
    finally:
        with _in_use_lock:
            callers, modes = _in_use.pop(model)
            if callers > 1:
                _in_use[model] = callers - 1, modes
            else:
                for part, was_training in modes.items():
                    part.training = was_training


def finite(pixels: Float[Tensor, "b 3 r c"]) -> Float[Tensor, "b 3 r c"]:
    """Convert ``pixels`` to float32 and check that all values are finite.

    Raises:
        WeightsError: if a value is NaN or infinite.
    """
    pixels = pixels.float()
    # The sum is NaN or infinite if a value is; this needs no mask, and valid pixels cannot overflow.
    if not bool(torch.isfinite(pixels.sum())):
        raise WeightsError(
            "The model gives values that are not finite, so its weights are damaged or untrained: "
            "use other weights."
        )
    return pixels


def check_precision(precision: str) -> None:
    """Raise `HistoscaleError` unless ``precision`` is one of `Precision`."""
    if precision not in get_args(Precision):
        raise HistoscaleError(f"Expected precision fp32 or bf16, found {precision}.")
