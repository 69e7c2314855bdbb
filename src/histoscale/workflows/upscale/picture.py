"""One picture: look, decide, read, compute, write."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import InputError, OutputError
from histoscale.slides import provenance
from histoscale.slides.description import Description, Mpp, Picture
from histoscale.slides.memory import ensure_memory
from histoscale.slides.picture_writer import Finished, refuse_impossible, write_picture
from histoscale.slides.provenance import Provenance
from histoscale.slides.reader import describe, read
from histoscale.slides.replacing import refuse_existing, refuse_unwritable
from histoscale.workflows.upscale.engine import Engine, enough_memory
from histoscale.workflows.upscale.outcome import Outcome
from histoscale.workflows.upscale.pixels import Progress, enlarge, resize
from histoscale.workflows.upscale.target import Target, Wish, require_positive, resolve

BYTES_PER_SAMPLE = 3
"""The output, the same for the encoder, and the encoded bytes at their worst."""
SCALE_SLACK = 1e-3
"""Rounding to whole pixels moves a scale of 4 to 4.0003: no reason to warn."""


@dataclass(frozen=True)
class Options:
    """What stays the same for all files of a call.

    Attributes:
        wish: how large.
        source_mpp: micrometres per pixel that the person knows; goes before what the file says.
        quality: 1 to 100 for JPEG and WebP.
        overwrite: whether existing files may be replaced.

    Raises:
        ScaleError: if ``source_mpp`` is zero, negative or not finite.
    """

    wish: Wish
    source_mpp: float | None = None
    quality: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.source_mpp is not None:
            require_positive("source mpp", self.source_mpp)


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
    header = describe(source)
    if header.refusal:
        raise InputError(f"{source} {header.refusal}.")
    mpp = Mpp(options.source_mpp, options.source_mpp) if options.source_mpp else header.mpp
    plan = resolve(options.wish, header.size_xy, mpp, header.power)
    _refuse_too_large(target, plan)
    with enough_memory(str(target)):
        picture = read(source)
        refuse_impossible(target, plan.size_xy, has_transparency=not picture.is_opaque)
        pixels, method, note = _resample(picture.pixels, plan, engine, progress)
        finished = Finished(
            pixels=pixels,
            alpha=_resized_alpha(picture, plan),
            icc_profile=header.icc_profile,
            provenance=_provenance(source, header, plan, engine, note),
        )
        write_picture(target, finished, quality=options.quality, overwrite=options.overwrite)
    return Outcome(
        source,
        target,
        header.size_xy,
        plan.size_xy,
        mpp,
        plan.mpp,
        method,
        seconds=time.perf_counter() - started,
        remarks=_remarks(header, plan, engine, options, note),
    )


def _refuse_too_large(target: Path, plan: Target) -> None:
    width, height = plan.size_xy
    refuse_impossible(target, plan.size_xy, has_transparency=False)
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
        return pixels, "pixels unchanged, no model", provenance.COPIED
    if grown == (h, w):
        return resize(pixels, size), "antialiased bicubic, no model", provenance.REDUCED
    enlarged = resize(enlarge(pixels, grown, engine, progress), size)
    return enlarged, engine.label, provenance.SUPER_RESOLVED


def _resized_alpha(picture: Picture, plan: Target) -> UInt8[np.ndarray, "H W"] | None:
    if picture.alpha is None:
        return None
    return resize(picture.alpha[..., None], plan.size_xy[::-1])[..., 0]


def _provenance(source: Path, header: Description, plan: Target, engine: Engine, note: str) -> Provenance:
    record = Provenance(
        version=version("histoscale"),
        note=note,
        source=source.name,
        scale_xy=plan.scale_xy,
        mpp=plan.mpp,
        power=plan.power,
        earlier=header.provenance,
    )
    if note != provenance.SUPER_RESOLVED:
        return record
    card = engine.card
    return replace(record, model=card.name, weights_sha256=card.sha256, precision=engine.precision)


def _remarks(
    header: Description, plan: Target, engine: Engine, options: Options, note: str
) -> tuple[str, ...]:
    """Everything a person should know beside the line."""
    remarks = [*plan.remarks]
    if options.source_mpp and header.mpp:
        given, found = options.source_mpp, header.mpp
        if abs(given / found.x - 1) > 0.01 or abs(given / found.y - 1) > 0.01:
            remarks.append(f"--source-mpp {given:g} goes before the {found.x:.4g} of its {header.mpp_source}")
    elif not options.source_mpp:
        remarks += header.notes
    if note == provenance.SUPER_RESOLVED:
        remarks += _outside_range(plan, engine)
        if header.provenance and header.provenance.get("note") == provenance.SUPER_RESOLVED:
            remarks.append("the source was super-resolved before: its detail is already a prediction")
    return tuple(remarks)


def _outside_range(plan: Target, engine: Engine) -> Iterator[str]:
    """A remark where the model works at a scale it was not trained for, along either axis."""
    low, high = engine.card.scales
    grown = [max(scale, 1.0) for scale in plan.scale_xy]  # an axis that shrinks does so after the model
    outside = [s for s in grown if not low * (1 - SCALE_SLACK) <= s <= high * (1 + SCALE_SLACK)]
    shown = " and ".join(dict.fromkeys(f"x{scale:.4g}" for scale in outside))
    if shown:
        verb = "are" if " and " in shown else "is"
        range_ = f"x{low:g} to x{high:g}"
        yield f"{shown} {verb} outside the range {range_} that {engine.card.name} was trained for"
