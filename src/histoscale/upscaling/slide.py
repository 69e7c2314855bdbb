"""Upscale a slide: plan it, compute it tile by tile, and write it while it is computed."""

import time
from collections.abc import Callable, Iterator
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
from histoscale.upscaling.request import read_request
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
        done: output pixels.
        encode_s: seconds of the writer, less those in which it waited for tiles.
        halved: tiles that were computed in parts because memory ran out.
    """

    done: int = 0
    read_s: float = 0.0
    model_s: float = 0.0
    interpolate_s: float = 0.0
    store_s: float = 0.0
    encode_s: float = 0.0
    halved: list[int] = field(default_factory=list)

    def add(self, result: TileResult) -> None:
        """Count a tile."""
        self.done += result.pixels
        self.read_s += result.read_s
        self.model_s += result.model_s
        self.interpolate_s += result.interpolate_s
        self.store_s += result.store_s
        if result.parts > 1:
            self.halved.append(result.index)

    @property
    def work(self) -> Work:
        """The seconds by kind of work."""
        return Work(self.read_s, self.model_s, self.interpolate_s, self.encode_s + self.store_s)


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
    encoding = encoding_for(target, options.compression, options.quality, options.layout)
    refuse_impossible_slide(target, encoding, options.overwrite)
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
        remove_leftovers(target)  # of a killed run; whoever holds the store is alone with the target
        run = SlideRun(slide, target, options, encoding, planned, store, executor)
        run.announce(announce)
        if not earlier:
            if planned.plan.tissue:
                executor.call(save_tissue, source, request, options.tissue, store.tissue)
            store.create(planned.plan.size_xy[::-1], planned.plan.tile_px, manifest)
        run.compute_and_write(progress)
        seconds = time.perf_counter() - started
        outcome = run.outcome(source, seconds)
        store.clear()
    # The memory of other machines cannot be measured here.
    return replace(outcome, peak_mib=peak.mib) if options.cluster in {None, "local"} else outcome


@dataclass
class SlideRun:
    """A slide under way: what is planned, where its tiles are, and what came of it so far.

    Attributes:
        associated: label, macro and thumbnail of the source.
        lost: names of those that are damaged.
    """

    slide: Slide
    target: Path
    options: Options
    encoding: Encoding
    planned: PlannedSlide
    store: TileStore
    executor: Executor
    totals: Totals = field(default_factory=Totals)
    associated: dict[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.slide.description.associated:
            try:
                self.associated[name] = self.slide.associated_image(name)
            except InputError:
                self.lost.append(name)

    def announce(self, announce: Announce | None) -> None:
        """Check that the disk has enough space, and announce the size of the work.

        Raises:
            OutputError: if it has not.
        """
        plan, budget = self.planned.plan, self.planned.budget
        further = sum(image.nbytes for image in self.associated.values())
        stored, written = disk_bytes(plan.size_xy, plan.tile_px, self.encoding, further)
        done = len(self.store.done())
        ensure_disk(self.store.folder, int(stored * (1 - done / plan.tile_count)) + written)
        if announce is not None:
            width, height = plan.size_xy
            resumed = f" ({done} of them finished earlier)" if done else ""
            announce(
                f"computing {width} x {height} px in {_counted(plan.tile_count, 'tile')} of {plan.tile_px} px"
                f"{resumed} with {_counted(budget.workers, 'worker')}; needs up to "
                f"{format_bytes(budget.peak_bytes)} of memory, {format_bytes(stored)} of temporary files and "
                f"{format_bytes(written)} for the output"
            )

    def compute_and_write(self, progress: Progress | None) -> None:
        """Write the slide while workers compute."""
        plan, done = self.planned.plan, self.store.done()
        self.totals.done = sum(plan.tile(index).pixels for index in done)

        def count(result: TileResult) -> None:
            self.totals.add(result)
            if progress is not None:
                progress(self.totals.done, plan.size_xy[0] * plan.size_xy[1])

        job = TileJob(plan, self.store.folder.absolute(), self.planned.record.source_digest or "")
        missing = [index for index in range(plan.tile_count) if index not in done]
        stream = TileStream(plan, self.store, self.executor.run(job, missing), count)
        started = time.perf_counter()
        output = self._output(stream)
        write_slide(self.target, output, self.encoding, self.store.scratch, self.options.overwrite)
        self.totals.encode_s = time.perf_counter() - started - stream.waited_s

    def _output(self, stream: TileStream) -> OutputSlide:
        """The output for the writer, which reads the pixels from the stream."""
        header, output = self.planned.request.header, self.planned.request.output
        return OutputSlide(
            size_xy=output.size_xy,
            read=stream.read,
            provenance=self.planned.record,
            mpp=output.mpp,
            power=output.power,
            icc_profile=header.icc_profile,
            associated=self.associated,
            study=header.study,
        )

    def outcome(self, source: Path, seconds: float) -> SlideOutcome:
        """Measure the written slide and say what came of it."""
        planned, request, plan = self.planned, self.planned.request, self.planned.plan
        found = measure_written(self.slide, request.region, plan, self.store, self.target)
        return SlideOutcome(
            source,
            self.target,
            request.region.size_xy,
            plan.size_xy,
            request.mpp,
            request.output.mpp,
            planned.method,
            seconds,
            tuple(self._remarks(found)),
            provenance=planned.record,
            power_before=request.header.power,
            device=plan.setting.processor if plan.setting else None,
            workers=self.executor.workers,
            tile_px=plan.tile_px,
            work=self.totals.work,
            tissue_share=found.tissue_share,
            views=found.views,
        )

    def _remarks(self, found: Findings) -> Iterator[str]:
        """Sentences that are printed beside the line of sizes."""
        request, options = self.planned.request, self.options
        yield from remarks(request.header, request.output, self.planned.used, options.source_mpp)
        form, has_quality = format_of(self.target).name, self.encoding.compression in {"jpeg", "jpeg2000"}
        yield from options.without_effect(form, is_slide=True, is_lossless=not has_quality)
        yield from request.roi.notes if request.roi else ()
        if self.lost:
            yield f"damaged in the source and left out: {', '.join(self.lost)}"
        if self.totals.halved:
            yield f"memory ran out in {len(self.totals.halved)} tiles, which were computed in parts"
        if found.tissue_share == 0:
            yield "no tissue was found, so the model was not used: give --tissue all to use it everywhere"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
