"""Upscale a slide: plan it, compute it tile by tile, and write it while it is computed."""

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
from histoscale.upscaling.findings import Findings, measure_written
from histoscale.upscaling.memory import disk_bytes, ensure_disk
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import TileJob, TileResult
from histoscale.upscaling.planning import PlannedSlide, plan_slide
from histoscale.upscaling.record import remarks
from histoscale.upscaling.request import Request, read_request
from histoscale.upscaling.results import SlideOutcome, Work
from histoscale.upscaling.resume import earlier_manifest, manifest_of, refuse_changed
from histoscale.upscaling.stream import TileStream
from histoscale.upscaling.tissue import check_tissue_choice, save_tissue

Progress = Callable[[int, int], None]
"""Called with output pixels done and their total."""
Announce = Callable[[str], None]
"""Called with a sentence before the work starts."""


@dataclass
class Totals:
    """The results of all workers, summed.

    Attributes:
        halved: tiles that were computed in parts because memory ran out.
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
    """Upscale ``source`` into the slide ``target``; after an error, a kill or Ctrl-C it can be resumed.

    Args:
        executor: entered already.

    Raises:
        InputError: if the source cannot be read or is of a refused kind.
        OutputError: if the target cannot be written, or the disk has too little space.
        ScaleError: if the size asked for is impossible.
        ConfigError: if memory is too small, or the run that is resumed had other settings.
    """
    started = time.perf_counter()
    refuse_impossible_slide(target, _encoding(target, options), options.overwrite)
    store = TileStore.beside(target)
    with store.locked(), measure_peak_memory() as peak, open_slide(source) as slide:
        earlier = earlier_manifest(store, options)
        check_tissue_choice(options.tissue, slide.description)
        request = read_request(slide, options)
        refuse_unknown_mpp(target, request.output.mpp)
        planned = plan_slide(slide, request, options, engine, executor, earlier)
        manifest = manifest_of(planned.plan, options)
        if earlier:
            refuse_changed(store, earlier, manifest)
            plan = planned.plan
            store.keep_whole({index: plan.tile(index).part for index in range(plan.tile_count)})
            remove_leftovers(target)
        _announce(planned, target, options, store, announce)
        if not earlier:
            if planned.plan.tissue:
                executor.call(save_tissue, source, request, options.tissue, store.tissue)
            store.create(planned.plan.size_xy[::-1], planned.plan.tile_px, manifest)
        totals, waited_s = _compute_and_write(slide, planned, store, target, options, executor, progress)
        seconds = time.perf_counter() - started
        found = measure_written(slide, request.region, planned.plan, store, target)
        store.clear()
    outcome = _outcome(source, target, planned, options, executor, totals, waited_s, seconds, found)
    # The memory of other machines cannot be measured here.
    return replace(outcome, peak_mib=peak.mib) if options.cluster in {None, "local"} else outcome


def _announce(
    planned: PlannedSlide, target: Path, options: Options, store: TileStore, announce: Announce | None
) -> None:
    """Check that the disk has enough space, and announce the size of the work.

    Raises:
        OutputError: if it has not.
    """
    plan, budget = planned.plan, planned.budget
    stored, written = disk_bytes(plan.size_xy, plan.tile_px, _encoding(target, options))
    done = len(store.done())
    ensure_disk(store.folder, int(stored * (1 - done / plan.tile_count)) + written)
    if announce is not None:
        width, height = plan.size_xy
        resumed = f" ({done} of them finished earlier)" if done else ""
        announce(
            f"computing {width} x {height} px in {_counted(plan.tile_count, 'tile')} of {plan.tile_px} px"
            f"{resumed} with {_counted(budget.workers, 'worker')}; needs up to "
            f"{format_bytes(budget.peak_bytes)} of memory, {format_bytes(stored)} of temporary files and "
            f"{format_bytes(written)} for the output"
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _compute_and_write(
    slide: Slide,
    planned: PlannedSlide,
    store: TileStore,
    target: Path,
    options: Options,
    executor: Executor,
    progress: Progress | None,
) -> tuple[Totals, float]:
    """Write the slide while workers compute; return the totals and the seconds of the writer alone."""
    plan = planned.plan
    done = store.done()
    totals = Totals(sum(plan.tile(index).pixels for index in done))

    def count(result: TileResult) -> None:
        totals.add(result)
        if progress is not None:
            progress(totals.done, plan.size_xy[0] * plan.size_xy[1])

    missing = [index for index in range(plan.tile_count) if index not in done]
    results = executor.run(
        TileJob(plan, store.folder.absolute(), planned.record.source_digest or ""), missing
    )
    stream = TileStream(plan, store, results, count)
    started = time.perf_counter()
    write_slide(
        target,
        _finished(slide, planned, stream, totals),
        _encoding(target, options),
        store.scratch,
        options.overwrite,
    )
    return totals, time.perf_counter() - started - stream.waited_s


def _finished(slide: Slide, planned: PlannedSlide, stream: TileStream, totals: Totals) -> OutputSlide:
    """The output for the writer, with the associated images of the source."""
    header, output = planned.request.header, planned.request.output
    return OutputSlide(
        size_xy=output.size_xy,
        read=stream.read,
        provenance=planned.record,
        mpp=output.mpp,
        power=output.power,
        icc_profile=header.icc_profile,
        associated=_associated(slide, totals),
        study=header.study,
    )


def _associated(slide: Slide, totals: Totals) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """Label, macro and thumbnail; a damaged one is left out and noted."""
    found = {}
    for name in slide.description.associated:
        try:
            found[name] = slide.associated_image(name)
        except InputError:
            totals.lost.append(name)
    return found


def _encoding(target: Path, options: Options) -> Encoding:
    return encoding_for(target, options.compression, options.quality, options.layout)


def _outcome(
    source: Path,
    target: Path,
    planned: PlannedSlide,
    options: Options,
    executor: Executor,
    totals: Totals,
    encoding_s: float,
    seconds: float,
    found: Findings,
) -> SlideOutcome:
    request, plan = planned.request, planned.plan
    return SlideOutcome(
        source,
        target,
        request.region.size_xy,
        plan.size_xy,
        request.mpp,
        request.output.mpp,
        planned.method,
        seconds,
        _remarks(request, target, planned, options, totals, found),
        provenance=planned.record,
        power_before=request.header.power,
        device=plan.setting.processor if plan.setting else None,
        workers=executor.workers,
        tile_px=plan.tile_px,
        work=Work(totals.read_s, totals.model_s, totals.interpolate_s, encoding_s + totals.store_s),
        tissue_share=found.tissue_share,
        views=found.views,
    )


def _remarks(
    request: Request,
    target: Path,
    planned: PlannedSlide,
    options: Options,
    totals: Totals,
    found: Findings,
) -> tuple[str, ...]:
    """Everything a person should know beside the line of sizes."""
    noted = [*remarks(request.header, request.output, planned.used, options.source_mpp)]
    has_quality = _encoding(target, options).compression in {"jpeg", "jpeg2000"}
    noted += options.without_effect(format_of(target).name, is_slide=True, is_lossless=not has_quality)
    noted += request.roi.notes if request.roi else ()
    if totals.lost:
        noted.append(f"damaged in the source and left out: {', '.join(totals.lost)}")
    if totals.halved:
        noted.append(f"memory ran out in {len(totals.halved)} tiles, which were computed in parts")
    if found.tissue_share == 0:
        noted.append("no tissue was found, so the model was not used: give --tissue all to use it everywhere")
    return tuple(noted)
