"""Upscale an image in one piece: read, compute, write."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from histoscale.errors import InputError, OutputError
from histoscale.files import refuse_existing, refuse_unwritable
from histoscale.imaging.arrays import pixel_reader, to_uint8
from histoscale.inference import upscale_blocks
from histoscale.io.formats import open_slide
from histoscale.io.slide import Pixels, Slide
from histoscale.io.writers.base import OutputImage
from histoscale.io.writers.formats import format_of, refuse_impossible_image, write_image
from histoscale.resources import ensure_memory
from histoscale.upscaling.engine import Engine, enough_memory
from histoscale.upscaling.geometry import OutputGeometry
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import Method
from histoscale.upscaling.planning import METHODS, NOTES, plan_without_model
from histoscale.upscaling.record import record, remarks
from histoscale.upscaling.request import Request, read_request
from histoscale.upscaling.results import Outcome
from histoscale.upscaling.tile import Source
from histoscale.upscaling.tile_model import in_grey

BYTES_PER_SAMPLE = 3
"""The output, its copy for the encoder, and the encoded bytes at their worst."""

Progress = Callable[[int, int], None]
"""Called with the number of output pixels that are done, and of all."""


def super_resolve(
    pixels: UInt8[np.ndarray, "h w c"],
    size: tuple[int, int],
    engine: Engine,
    progress: Progress | None = None,
) -> UInt8[np.ndarray, "H W c"]:
    """Super-resolve to ``size`` (height, width), tile by tile.

    Grey is passed as three equal channels; the result is their mean.
    """
    h, w, channels = pixels.shape
    read = pixel_reader(np.broadcast_to(pixels, (h, w, 3)))
    output = np.empty((*size, channels), np.uint8)
    blocks = upscale_blocks(
        engine.model,
        read,
        (h, w),
        size,
        tile_px=engine.tile_px,
        precision=engine.precision,
        device=engine.device,
        progress=progress,
    )
    for rows, cols, block in blocks:
        colours = in_grey(block) if channels == 1 else block
        output[rows, cols] = to_uint8(colours)[0, :channels].permute(1, 2, 0).cpu().numpy()
    return output


def resize(pixels: UInt8[np.ndarray, "h w c"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W c"]:
    """Pillow's bicubic to ``size`` (height, width), antialiased where an axis shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    resized = np.array(Image.fromarray(flat).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    return resized[..., None] if resized.ndim == 2 else resized


def upscale_image(
    source: Path, target: Path, options: Options, engine: Engine, progress: Progress | None = None
) -> Outcome:
    """Upscale ``source`` into the image ``target``, which appears whole or not at all.

    Raises:
        InputError: if the source cannot be read or is of a refused kind.
        OutputError: if the target cannot be written, or cannot hold the image.
        ScaleError: if the size asked for is impossible.
        WeightsError: if the model's weights are missing, wrong or damaged.
    """
    started = time.perf_counter()
    if not options.overwrite:
        refuse_existing(target)
    refuse_unwritable(target)
    with open_slide(source) as slide, enough_memory(str(target)):
        request = read_request(slide, options)
        output, size = request.output, request.output.size_xy[::-1]
        _refuse_too_large(target, output)
        method: Method = "reduce"
        pixels = _from_lower_level(slide, request)
        if pixels is None:
            pixels = slide.read_pixels(*request.region)
            refuse_impossible_image(target, output.size_xy, has_transparency=not pixels.is_opaque)
            colour, method = pixels.colour, request.image_method
            if method == "model":
                # An axis that grows is the model's work; one that shrinks is downsampled afterwards.
                grown = max(size[0], colour.shape[0]), max(size[1], colour.shape[1])
                colour = super_resolve(colour, grown, engine, progress)
            alpha = None if pixels.alpha is None else resize(pixels.alpha[..., None], size)[..., 0]
            pixels = Pixels(resize(colour, size), alpha)
        used = engine.used if method == "model" else None
        provenance = record(request.header, request.region, output, NOTES[method], used)
        made = OutputImage(pixels.colour, pixels.alpha, request.header.icc_profile, provenance)
        write_image(target, made, quality=options.quality, overwrite=options.overwrite)
    form = format_of(target)
    return Outcome(
        source,
        target,
        request.region.size_xy,
        output.size_xy,
        request.mpp,
        output.mpp,
        used.label if used else METHODS[method],
        seconds=time.perf_counter() - started,
        remarks=(
            *remarks(request.header, output, used, options.source_mpp),
            *options.without_effect(form.name, is_slide=False, is_lossless=not form.is_lossy),
        ),
    )


def _from_lower_level(slide: Slide, request: Request) -> Pixels | None:
    """Downsample a slide from the coarsest level that is fine enough; None if that is level 0."""
    header, output = slide.description, request.output
    if len(slide.levels_xy) < 2 or max(output.scale_xy) >= 1 or "alpha" in header.channels:
        return None
    across, down = output.size_xy
    plan = plan_without_model(slide, request, max(across, down))
    if plan.level == 0:
        return None
    width, height = plan.level_size_xy
    too_large = f"Level {plan.level} of {header.path} does not fit into memory"
    ensure_memory(7 * width * height, InputError, too_large)
    pixels = Source(slide, plan).bicubic((slice(0, down), slice(0, across)))
    return Pixels(pixels[..., :1].copy() if header.is_grey else pixels)


def _refuse_too_large(target: Path, output: OutputGeometry) -> None:
    width, height = output.size_xy
    refuse_impossible_image(target, output.size_xy, has_transparency=False)
    ensure_memory(
        width * height * 4 * BYTES_PER_SAMPLE,
        OutputError,
        f"{target} would have {width} x {height} px, which do not fit into memory as one image: write "
        ".ome.tiff, .ome.zarr or .dcm instead",
    )
