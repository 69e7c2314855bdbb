"""A whole slide: plan it, compute it tile by tile, and write it while it is computed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.files import remove_leftovers
from histoscale.io.formats import open_slide
from histoscale.io.slide import Slide
from histoscale.io.tile_store import TileStore
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import (
    encoding_for,
    format_of,
    refuse_impossible_slide,
    refuse_unknown_mpp,
    write_slide,
)
from histoscale.resources import format_bytes, measure_peak_memory
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor
from histoscale.upscaling.memory import disk_bytes, ensure_disk
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import TileJob, TileResult
from histoscale.upscaling.planning import Planned, plan_slide, refuse_no_tissue, save_tissue, what_is_wanted
from histoscale.upscaling.report import Findings, look_at
from histoscale.upscaling.results import SlideOutcome, Work, record, remarks
from histoscale.upscaling.resume import earlier_manifest, manifest_of, refuse_changed
from histoscale.upscaling.stream import TileStream

Progress = Callable[[int, int], None]
"""Called with output pixels done and their total."""
Announce = Callable[[str], None]
"""Called with a sentence before the work starts."""


@dataclass
class Tally:
    """What the workers said, summed.

    Attributes:
        halved: tiles that were computed in pieces.
        lost: names of associated images that are damaged.
    """

    done: int
    read_s: float = 0.0
    model_s: float = 0.0
    interpolate_s: float = 0.0
    store_s: float = 0.0
    halved: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add(self, result: TileResult) -> None:
        """Count a tile."""
        self.done += result.pixels
        self.read_s += result.read_s
        self.model_s += result.model_s
        self.interpolate_s += result.interpolate_s
        self.store_s += result.store_s
        if result.parts > 1:
            self.halved.append(result.index)


def upscale_slide(
    source: Path,
    target: Path,
    options: Options,
    engine: Engine,
    executor: Executor,
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> SlideOutcome:
    """Make the pyramid ``target`` from ``source``; after an error, a kill or Ctrl-C it can be resumed.

    Args:
        executor: entered already.

    Raises:
        InputError: if the source cannot be read or is of a refused kind.
        OutputError: if the target cannot be written, or the disk has no room.
        ScaleError: if the size asked for is impossible.
        ConfigError: if memory is too small, or the run to go on with was given something else.
    """
    started = time.perf_counter()
    refuse_impossible_slide(target, _encoding(target, options), options.overwrite)
    store = TileStore.beside(target)
    with store.locked(), measure_peak_memory() as peak, open_slide(source) as slide:
        earlier = earlier_manifest(store, options)
        refuse_no_tissue(options.tissue, slide.description)
        wanted = what_is_wanted(slide, options)
        refuse_unknown_mpp(target, wanted.target.mpp)
        planned = plan_slide(slide, wanted, options, engine, executor, earlier)
        manifest = manifest_of(planned.plan, options)
        if earlier:
            refuse_changed(store, earlier, manifest)
            plan = planned.plan
            store.keep_whole({index: plan.tile(index).part for index in range(plan.tile_count)})
            remove_leftovers(target)
        _announce(planned, target, options, store, announce)
        if not earlier:
            if planned.plan.tissue:
                asked = source, wanted.field, wanted.mpp, options.tissue, wanted.roi, store.tissue
                executor.ask(save_tissue, *asked)
            store.create(planned.plan.size_xy[::-1], planned.plan.tile_px, manifest)
        tally, waited_s = _compute_and_write(slide, planned, store, target, options, executor, progress)
        seconds = time.perf_counter() - started
        found = look_at(slide, wanted.field, planned.plan, store, target)
        store.clear()
    outcome = _outcome(source, target, planned, options, executor, tally, waited_s, seconds, found)
    # Memory of other machines is not seen from here.
    return replace(outcome, peak_mib=peak.mib) if options.cluster in {None, "local"} else outcome


def _announce(
    planned: Planned, target: Path, options: Options, store: TileStore, announce: Announce | None
) -> None:
    """Say what the work takes, having made sure that the disk has it.

    Raises:
        OutputError: if it has not.
    """
    plan, budget = planned.plan, planned.budget
    stored, written = disk_bytes(plan.size_xy, plan.tile_px, _encoding(target, options))
    done = len(store.done())
    ensure_disk(store.folder, int(stored * (1 - done / plan.tile_count)) + written)
    if announce is not None:
        width, height = plan.size_xy
        resumed = f", {done} of them done before" if done else ""
        announce(
            f"{width} x {height} px in {_counted(plan.tile_count, 'tile')} of {plan.tile_px}{resumed}; "
            f"{_counted(budget.workers, 'worker')}, "
            f"at most {format_bytes(budget.peak_bytes)} of memory; "
            f"on disk {format_bytes(stored)} on the way and up to {format_bytes(written)} in the end"
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _compute_and_write(
    slide: Slide,
    planned: Planned,
    store: TileStore,
    target: Path,
    options: Options,
    executor: Executor,
    progress: Progress | None,
) -> tuple[Tally, float]:
    """Write the pyramid while workers compute; the tally, and the seconds that the writer itself took."""
    plan = planned.plan
    done = store.done()
    tally = Tally(sum(plan.tile(index).pixels for index in done))

    def count(result: TileResult) -> None:
        tally.add(result)
        if progress is not None:
            progress(tally.done, plan.size_xy[0] * plan.size_xy[1])

    missing = [index for index in range(plan.tile_count) if index not in done]
    results = executor.run(TileJob(plan, store.folder.absolute()), missing)
    stream = TileStream(plan, store, results, count)
    started = time.perf_counter()
    write_slide(
        target,
        _finished(slide, planned, stream, tally),
        _encoding(target, options),
        store.scratch,
        options.overwrite,
    )
    return tally, time.perf_counter() - started - stream.waited_s


def _finished(slide: Slide, planned: Planned, stream: TileStream, tally: Tally) -> OutputSlide:
    """The output as the writer sees it; associated images are carried over."""
    header, target = planned.wanted.header, planned.wanted.target
    return OutputSlide(
        size_xy=target.size_xy,
        read=stream.read,
        provenance=record(header, target, planned.note, planned.used),
        mpp=target.mpp,
        power=target.power,
        icc_profile=header.icc_profile,
        associated=_associated(slide, tally),
        study=header.study,
    )


def _associated(slide: Slide, tally: Tally) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """Label, macro and thumbnail; a damaged one is no reason to lose the slide."""
    found = {}
    for name in slide.description.associated:
        try:
            found[name] = slide.associated_image(name)
        except InputError:
            tally.lost.append(name)
    return found


def _encoding(target: Path, options: Options) -> Encoding:
    return encoding_for(target, options.compression, options.quality, options.layout)


def _outcome(
    source: Path,
    target: Path,
    planned: Planned,
    options: Options,
    executor: Executor,
    tally: Tally,
    encoding_s: float,
    seconds: float,
    found: Findings,
) -> SlideOutcome:
    wanted, plan = planned.wanted, planned.plan
    told = [*remarks(wanted.header, wanted.target, planned.used, options.source_mpp)]
    has_quality = _encoding(target, options).compression in {"jpeg", "jpeg2000"}
    told += options.unused(format_of(target).name, is_lossless=not has_quality)
    told += wanted.roi.notes if wanted.roi else ()
    if tally.lost:
        told.append(f"damaged in the source and left out: {', '.join(tally.lost)}")
    if tally.halved:
        told.append(f"memory ran out in {len(tally.halved)} tiles, which were computed in halves")
    if found.tissue_share == 0:
        told.append(
            "no tissue was found, so all went through bicubic: give --tissue all to send it to the model"
        )
    return SlideOutcome(
        source,
        target,
        wanted.field.size_xy,
        plan.size_xy,
        wanted.mpp,
        wanted.target.mpp,
        planned.method,
        seconds,
        tuple(told),
        provenance=record(wanted.header, wanted.target, planned.note, planned.used),
        power_before=wanted.header.power,
        device=plan.setting.processor if plan.setting else None,
        workers=executor.workers,
        tile_px=plan.tile_px,
        work=Work(tally.read_s, tally.model_s, tally.interpolate_s, encoding_s + tally.store_s),
        tissue_share=found.tissue_share,
        views=found.views,
    )
