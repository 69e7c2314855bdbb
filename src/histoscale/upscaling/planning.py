"""From a request to a plan: level, method, model, tile and number of workers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from histoscale.errors import ConfigError
from histoscale.io.provenance import COPIED, REDUCED, SUPER_RESOLVED, Provenance
from histoscale.io.slide import Slide
from histoscale.resources import warn_of_slow_bf16
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor, measure_worker
from histoscale.upscaling.memory import COORDINATOR_BYTES, Budget, choose_tile, memory_limit
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import Method, SlidePlan
from histoscale.upscaling.record import UsedModel, record
from histoscale.upscaling.request import Request

SMALLEST_TILE_PX = 64
MODEL_FREE_TILE_PX = 1024
MODEL_FREE_WORKER_BYTES = 200 * 2**20
"""Memory of a worker that runs no model."""
NOTES: Mapping[Method, str] = {
    "model": SUPER_RESOLVED,
    "reduce": REDUCED,
    "copy": COPIED,
}
METHODS: Mapping[Method, str] = {
    "reduce": "antialiased bicubic, no model",
    "copy": "pixels unchanged, no model",
}


@dataclass(frozen=True)
class PlannedSlide:
    """A plan with its request and the resources it needs.

    Attributes:
        record: for the file; made before the work, so that it names the content that was planned for.
    """

    request: Request
    plan: SlidePlan
    budget: Budget
    record: Provenance

    @classmethod
    def of(cls, request: Request, plan: SlidePlan, budget: Budget) -> "PlannedSlide":
        """The plan with its record."""
        used = plan.setting.used if plan.setting else None
        made = record(request.header, request.region, request.output, NOTES[plan.method], used)
        return cls(request, plan, budget, made)

    @property
    def used(self) -> UsedModel | None:
        """The model, where one takes part."""
        return self.plan.setting.used if self.plan.setting else None

    @property
    def method(self) -> str:
        """For the output line."""
        return self.used.label if self.used else METHODS[self.plan.method]


def plan_slide(
    slide: Slide,
    request: Request,
    options: Options,
    engine: Engine,
    executor: Executor,
    earlier: Mapping[str, Any] | None = None,
) -> PlannedSlide:
    """Choose everything that decides pixels, once for all workers.

    Args:
        earlier: the manifest of the run that is resumed; its tile and precision are kept unless options name
            others.

    Raises:
        ConfigError: if memory is too small, or the given tile is no power of two.
        HistoscaleError: if the model cannot be loaded.
    """
    if engine.tile_px is not None and (engine.tile_px < SMALLEST_TILE_PX or engine.tile_px.bit_count() != 1):
        raise ConfigError(
            f"--tile must be a power of two of at least {SMALLEST_TILE_PX} for a slide, but is "
            f"{engine.tile_px}."
        )
    limit = memory_limit(
        options.max_memory_bytes, executor.workers, is_here=options.cluster in {None, "local"}
    )
    # Stored tiles cannot be cut again, so a resumed run keeps its tile whatever the memory is now.
    tile_px = engine.tile_px or (earlier["tile_px"] if earlier else None)
    if request.method != "model":
        tile_px = tile_px or MODEL_FREE_TILE_PX
        peak = COORDINATOR_BYTES + executor.workers * MODEL_FREE_WORKER_BYTES
        return PlannedSlide.of(
            request, plan_without_model(slide, request, tile_px), Budget(tile_px, executor.workers, peak)
        )
    setting, need, is_slow = executor.call(
        measure_worker, _with_earlier_precision(engine, earlier), request.scale
    )
    if is_slow:
        warn_of_slow_bf16()  # only this process warns: each worker would repeat the sentence
    # Workers of a cluster exist already, so their number is not lowered to fit the memory.
    budget = choose_tile(
        need,
        request.output.size_xy,
        request.scale,
        setting.margin_px,
        executor.workers,
        limit,
        tile_px,
        least_workers=1 if options.cluster is None else executor.workers,
    )
    executor.workers = min(executor.workers, budget.workers)
    # Polygons of a region of interest act like tissue: outside them the slide is interpolated.
    plan = replace(
        plan_without_model(slide, request, budget.tile_px),
        setting=setting,
        tissue=options.tissue != "all" or request.roi is not None,
    )
    return PlannedSlide.of(request, plan, budget)


def _with_earlier_precision(engine: Engine, earlier: Mapping[str, Any] | None) -> Engine:
    """The engine with the precision of the run that is resumed, unless an option names one."""
    setting = earlier.get("setting") if earlier else None
    if setting and engine.precision_choice == "auto":
        return replace(engine, precision_choice=setting["precision"])
    return engine


def plan_without_model(slide: Slide, request: Request, tile_px: int) -> SlidePlan:
    """Choose the level and the pixels to read: to downsample, the coarsest level that is fine enough."""
    output, (x, y), (width, height) = request.output, *request.region
    level = slide.best_level(1 / max(output.scale_xy)) if request.method == "reduce" else 0
    across, down = slide.downsample_xy(level)
    left, top, right, bottom = x / across, y / down, (x + width) / across, (y + height) / down
    columns, rows = slide.levels_xy[level]
    # Whole pixels are read; the box keeps where the region begins and ends between them.
    origin = math.floor(left), math.floor(top)
    end = min(math.ceil(right), columns), min(math.ceil(bottom), rows)
    return SlidePlan(
        source=request.header.path.absolute(),
        level=level,
        level_xy=origin,
        level_size_xy=(end[0] - origin[0], end[1] - origin[1]),
        box_xy=(left - origin[0], top - origin[1], right - origin[0], bottom - origin[1]),
        size_xy=output.size_xy,
        tile_px=tile_px,
        method=request.method,
        is_grey=slide.description.is_grey,
    )
