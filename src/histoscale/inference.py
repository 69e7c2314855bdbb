"""Upscale an image with any model, tile by tile: beside the two pictures, tiles bound the memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from histoscale.errors import HistoscaleError, InputError, ScaleError, WeightsError
from histoscale.imaging.coords import output_positions, rounded_size
from histoscale.imaging.tiles import Tile, plan_tiles, span_over, split_output
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, moved

Precision: TypeAlias = Literal["fp32", "bf16"]
Progress: TypeAlias = Callable[[int, int], None]
"""Called after every block with the output pixels done so far and their total."""
ReadWindow: TypeAlias = Callable[[slice, slice], Tensor]
"""Rows and columns of the low-resolution image in, that window out: float [b, 3, rows, cols] in [0, 1]."""
Image = TypeVar("Image", NDArray[Any], Tensor)

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
    output = _empty_like(image, size)
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


def to_uint8(pixels: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Clip to [0, 1] and round to 256 levels."""
    return (pixels.clamp(0, 1) * 255).round_().to(torch.uint8)


def pixel_reader(image: NDArray[Any] | Tensor) -> ReadWindow:
    """Windows of an image in memory as float batches; only the window is converted."""

    def read(rows: slice, cols: slice) -> Tensor:
        if isinstance(image, Tensor):
            window = image[..., rows, cols]
            return window if window.ndim == 4 else window[None]
        pixels = torch.from_numpy(image[rows, cols].astype(np.float32))  # copies, hence writable
        return pixels.permute(2, 0, 1)[None].contiguous() / 255

    return read


def check_image(image: object) -> None:
    """Raise `InputError` unless ``image`` is of a kind that `upscale` takes."""
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"Wanted an array of height x width x 3, got shape {tuple(image.shape)}.")
        if image.dtype != np.uint8:
            raise InputError(f"Wanted an array of uint8, got {image.dtype} (floats go in as a torch tensor).")
    elif isinstance(image, Tensor):
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or image.numel() == 0:
            raise InputError(f"Wanted a tensor [3, h, w] or [b, 3, h, w], got shape {tuple(image.shape)}.")
        if not image.is_floating_point():
            raise InputError(
                f"Wanted a float tensor in [0, 1], got {image.dtype} (uint8 goes in as an array)."
            )
        low, high = (float(value) for value in image.aminmax())
        if not (low > -1 and high < 2):  # bicubic overshoot passes, 0..255 and NaN do not
            raise InputError(f"Wanted a float tensor in [0, 1], got values from {low:g} to {high:g}.")
    else:
        raise InputError(f"Wanted a uint8 array or a float tensor, got {type(image).__name__}.")


def check_precision(precision: str) -> None:
    """Raise `HistoscaleError` unless ``precision`` is one of `Precision`."""
    if precision not in get_args(Precision):
        raise HistoscaleError(f"Wanted precision fp32 or bf16, got {precision}.")


def wanted_size(
    lr_size: tuple[int, int], size: tuple[int, int] | None, scale: float | None
) -> tuple[int, int]:
    """The output's height and width from exactly one of ``size`` and ``scale``.

    Raises:
        ScaleError: if both or neither are given, if the scale is not a number, or if a side would shrink.
    """
    if (size is None) == (scale is None):
        raise ScaleError(
            "Wanted exactly one of size and scale, got " + ("neither." if size is None else "both.")
        )
    h, w = lr_size
    if size is None:
        if not math.isfinite(cast(float, scale)):
            raise ScaleError(f"Wanted a finite scale, got {scale}.")
        if cast(float, scale) < 1:
            raise ScaleError(f"Wanted a scale of at least 1, got {scale:g} (reduce with Pillow instead).")
        size = rounded_size(h, cast(float, scale)), rounded_size(w, cast(float, scale))
    if len(size) != 2 or not all(isinstance(side, int | np.integer) for side in size):
        raise ScaleError(f"Wanted a size of two whole numbers, height and width, got {size}.")
    if size[0] < h or size[1] < w:
        raise ScaleError(
            f"Wanted at least the image's own {h} x {w} pixels, got {size[0]} x {size[1]} "
            "(reduce with Pillow instead)."
        )
    return int(size[0]), int(size[1])


def _empty_like(image: NDArray[Any] | Tensor, size: tuple[int, int]) -> NDArray[Any] | Tensor:
    """Room for the output, of the same kind as the image."""
    try:
        if isinstance(image, np.ndarray):
            return np.empty((*size, 3), np.uint8)
        return image.new_empty((*image.shape[:-2], *size))
    except (MemoryError, RuntimeError, ValueError, OverflowError, TypeError):  # as numpy or torch puts it
        raise ScaleError(f"An output of {size[0]} x {size[1]} pixels does not fit in memory.") from None
