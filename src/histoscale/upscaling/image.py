"""One picture: look, decide, read, compute, write."""

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
from histoscale.io.annotations import Rectangle
from histoscale.io.formats import open_slide
from histoscale.io.provenance import COPIED, REDUCED, SUPER_RESOLVED
from histoscale.io.slide import Pixels, Slide
from histoscale.io.writers.base import OutputImage
from histoscale.io.writers.formats import format_of, refuse_impossible_image, write_image
from histoscale.resources import ensure_memory
from histoscale.upscaling.engine import Engine, enough_memory
from histoscale.upscaling.geometry import Target, resolve
from histoscale.upscaling.options import Options
from histoscale.upscaling.planning import METHODS, Wanted, plan_without_model
from histoscale.upscaling.results import Outcome, known_mpp, record, remarks, wanted_field
from histoscale.upscaling.tile import Source

# From uint8 to uint8: enlarge with a model, reduce with bicubic, in one picture's worth of memory.


Progress = Callable[[int, int], None]
"""Called with output pixels done and their total."""


def enlarge(
    pixels: UInt8[np.ndarray, "h w c"],
    size: tuple[int, int],
    engine: Engine,
    progress: Progress | None = None,
) -> UInt8[np.ndarray, "H W c"]:
    """Super-resolve to ``size`` (height, width), tile by tile.

    Grey goes in as three equal channels and comes back as their mean.
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
        colours = block.clamp(0, 1).mean(1, keepdim=True).expand_as(block) if channels == 1 else block
        output[rows, cols] = to_uint8(colours)[0, :channels].permute(1, 2, 0).cpu().numpy()
    return output


def resize(pixels: UInt8[np.ndarray, "h w c"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W c"]:
    """Pillow's bicubic to ``size`` (height, width), antialiased where an axis shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    resized = np.array(Image.fromarray(flat).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    return resized[..., None] if resized.ndim == 2 else resized


BYTES_PER_SAMPLE = 3
"""The output, the same for the encoder, and the encoded bytes at their worst."""


def upscale_picture(
    source: Path, target: Path, options: Options, engine: Engine, progress: Progress | None = None
) -> Outcome:
    """Make ``target`` from ``source``, whole or not at all.

    Raises:
        InputError: if the source cannot be read or is of a refused kind.
        OutputError: if the target cannot be written, or cannot hold the picture.
        ScaleError: if the size asked for is impossible.
        WeightsError: if the model's weights are missing, wrong or damaged.
    """
    started = time.perf_counter()
    if not options.overwrite:
        refuse_existing(target)
    refuse_unwritable(target)
    with open_slide(source) as slide, enough_memory(str(target)):
        header = slide.description
        mpp = known_mpp(header, options.source_mpp)
        field = wanted_field(header, options)[0]
        plan = resolve(options.wish, field.size_xy, mpp, header.power)
        _refuse_too_large(target, plan)
        pixels, method, note = _made(slide, field, target, plan, engine, progress)
    used = engine.used if note == SUPER_RESOLVED else None
    with enough_memory(str(target)):
        provenance = record(header, plan, note, used)
        made = OutputImage(pixels.colour, pixels.alpha, header.icc_profile, provenance)
        write_image(target, made, quality=options.quality, overwrite=options.overwrite)
    return Outcome(
        source,
        target,
        field.size_xy,
        plan.size_xy,
        mpp,
        plan.mpp,
        method,
        seconds=time.perf_counter() - started,
        remarks=(
            *remarks(header, plan, used, options.source_mpp),
            *options.unused(format_of(target).name, is_lossless=not format_of(target).is_lossy),
        ),
    )


def _made(
    slide: Slide, field: Rectangle, target: Path, plan: Target, engine: Engine, progress: Progress | None
) -> tuple[Pixels, str, str]:
    """The output's pixels, the method for the output line and the note for the metadata."""
    reduced = _from_lower_level(slide, field, plan)
    if reduced is not None:
        return reduced, METHODS["reduce"], REDUCED
    pixels = slide.read_pixels(*field)
    refuse_impossible_image(target, plan.size_xy, has_transparency=not pixels.is_opaque)
    colour, method, note = _resample(pixels.colour, plan, engine, progress)
    alpha = pixels.alpha
    if alpha is not None:
        alpha = resize(alpha[..., None], plan.size_xy[::-1])[..., 0]
    return Pixels(colour, alpha), method, note


def _from_lower_level(slide: Slide, field: Rectangle, target: Target) -> Pixels | None:
    """A reduction of a slide from the level that is just fine enough; None where that is the full one."""
    header = slide.description
    if len(slide.levels_xy) < 2 or max(target.scale_xy) >= 1 or "alpha" in header.channels:
        return None
    across, down = target.size_xy
    plan = plan_without_model(slide, Wanted(header, field, None, header.mpp, target), max(across, down))
    if plan.level == 0:
        return None
    width, height = plan.level_size_xy
    too_large = f"Level {plan.level} of {header.path} is too large to be held in memory"
    ensure_memory(7 * width * height, InputError, too_large)
    return Pixels(Source(slide, plan).bicubic((slice(0, down), slice(0, across))))


def _refuse_too_large(target: Path, plan: Target) -> None:
    width, height = plan.size_xy
    refuse_impossible_image(target, plan.size_xy, has_transparency=False)
    ensure_memory(
        width * height * 4 * BYTES_PER_SAMPLE,
        OutputError,
        f"{target} would be {width} x {height} px, more than memory holds as one picture",
    )


def _resample(
    pixels: UInt8[np.ndarray, "h w c"], plan: Target, engine: Engine, progress: Progress | None
) -> tuple[UInt8[np.ndarray, "H W c"], str, str]:
    """New pixels, the method for the output line and the note for the metadata.

    An axis that grows goes through the model, an axis that shrinks through bicubic afterwards.
    """
    size = plan.size_xy[::-1]
    h, w, _ = pixels.shape
    grown = max(size[0], h), max(size[1], w)
    if size == (h, w):
        return pixels, METHODS["copy"], COPIED
    if grown == (h, w):
        return resize(pixels, size), METHODS["reduce"], REDUCED
    enlarged = resize(enlarge(pixels, grown, engine, progress), size)
    return enlarged, engine.label, SUPER_RESOLVED
