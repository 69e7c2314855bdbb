"""From a wish to a plan: the field, the size, the level, the method, the model and the tile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from histoscale.errors import ConfigError, InputError
from histoscale.io.annotations import Rectangle, Roi, read_roi
from histoscale.io.formats import open_slide
from histoscale.io.provenance import COPIED, REDUCED, SUPER_RESOLVED
from histoscale.io.slide import Description, Mpp, Slide
from histoscale.io.tissue import TissueMask, find_tissue, grid_of, read_tissue
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor, take_survey
from histoscale.upscaling.geometry import Target, resolve
from histoscale.upscaling.memory import COORDINATOR_BYTES, Budget, choose_tile, memory_limit
from histoscale.upscaling.options import TISSUE_CHOICES, Options
from histoscale.upscaling.plan import Method, ModelSetting, SlidePlan
from histoscale.upscaling.results import UsedModel, known_mpp, wanted_field

SMALLEST_TILE_PX = 64
MODEL_FREE_TILE_PX = 1024
MODEL_FREE_WORKER_BYTES = 200 * 2**20
"""Of a worker that reads and reduces."""
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
class Wanted:
    """What a person wants of a slide.

    Attributes:
        field: of level 0.
        mpp: of level 0, where known.
        target: size and micrometres of the output.
    """

    header: Description
    field: Rectangle
    roi: Roi | None
    mpp: Mpp | None
    target: Target

    @property
    def method(self) -> Method:
        """An axis that shrinks makes it a reduction: slides have square pixels, or nearly so."""
        if self.target.size_xy == self.field.size_xy:
            return "copy"
        return "reduce" if min(self.target.scale_xy) < 1 else "model"

    @property
    def scale(self) -> tuple[float, float]:
        """Down and across."""
        return self.target.scale_xy[1], self.target.scale_xy[0]


@dataclass(frozen=True)
class Planned:
    """A plan, what it takes, and what was wanted."""

    wanted: Wanted
    plan: SlidePlan
    budget: Budget

    @property
    def used(self) -> UsedModel | None:
        """The model, where one takes part."""
        return self.plan.setting.used if self.plan.setting else None

    @property
    def method(self) -> str:
        """For the output line."""
        return self.used.label if self.used else METHODS[self.plan.method]

    @property
    def note(self) -> str:
        """For the record in the file."""
        return NOTES[self.plan.method]


def what_is_wanted(slide: Slide, options: Options) -> Wanted:
    """Read the wish against the slide's header.

    Raises:
        InputError: if the slide is refused, or region or polygons are wrong.
        ScaleError: if the size is impossible, or micrometres are unknown.
    """
    header = slide.description
    if header.refusal:
        raise InputError(f"{header.path} {header.refusal}.")
    mpp = known_mpp(header, options.source_mpp)
    field, roi = wanted_field(header, options)
    return Wanted(header, field, roi, mpp, resolve(options.wish, field.size_xy, mpp, header.power))


def plan_slide(
    slide: Slide,
    wanted: Wanted,
    options: Options,
    engine: Engine,
    executor: Executor,
    earlier: Mapping[str, Any] | None = None,
) -> Planned:
    """Choose everything that decides pixels, once for all workers.

    Args:
        earlier: the plan of the run to go on with, whose tile and, where nothing else is asked for, precision
            are kept.

    Raises:
        ConfigError: if memory is too small, or the tile asked for is no power of two.
        HistoscaleError: if the model cannot be had.
    """
    if engine.tile_px is not None and (engine.tile_px < SMALLEST_TILE_PX or engine.tile_px.bit_count() != 1):
        raise ConfigError(
            f"A tile of a slide is a power of two of at least {SMALLEST_TILE_PX} px, got {engine.tile_px}."
        )
    limit = memory_limit(
        options.max_memory_bytes, executor.workers, is_here=options.cluster in {None, "local"}
    )
    tile_px = engine.tile_px or (earlier["tile_px"] if earlier else None)
    if wanted.method != "model":
        tile_px = tile_px or MODEL_FREE_TILE_PX
        peak = COORDINATOR_BYTES + executor.workers * MODEL_FREE_WORKER_BYTES
        return Planned(
            wanted, plan_without_model(slide, wanted, tile_px), Budget(tile_px, executor.workers, peak)
        )
    fewest = 1 if options.cluster is None else executor.workers
    setting, budget = _choose(wanted, limit, tile_px, _imposed(engine, earlier), executor, fewest)
    executor.workers = min(executor.workers, budget.workers)
    plan = replace(
        plan_without_model(slide, wanted, budget.tile_px),
        setting=setting,
        tissue=_has_tissue(wanted, options),
    )
    return Planned(wanted, plan, budget)


def _choose(
    wanted: Wanted, limit: int, tile_px: int | None, engine: Engine, executor: Executor, fewest: int
) -> tuple[ModelSetting, Budget]:
    setting, appetite = executor.ask(take_survey, engine, wanted.scale)
    budget = choose_tile(
        appetite,
        wanted.target.size_xy,
        wanted.scale,
        setting.margin_px,
        executor.workers,
        limit,
        tile_px,
        fewest,
    )
    return setting, budget


def _imposed(engine: Engine, earlier: Mapping[str, Any] | None) -> Engine:
    """The engine with the precision of the run to go on with, unless a person names one."""
    setting = earlier.get("setting") if earlier else None
    return replace(engine, wanted=setting["precision"]) if setting and engine.wanted == "auto" else engine


def _has_tissue(wanted: Wanted, options: Options) -> bool:
    return options.tissue != "all" or wanted.roi is not None


def plan_without_model(slide: Slide, wanted: Wanted, tile_px: int) -> SlidePlan:
    """Which part of which level becomes which pixels; a reduction reads the one that is just fine enough."""
    target, (x, y), (width, height) = wanted.target, *wanted.field
    level = slide.best_level(1 / max(target.scale_xy)) if wanted.method == "reduce" else 0
    across, down = slide.downsample_xy(level)
    left, top, right, bottom = x / across, y / down, (x + width) / across, (y + height) / down
    columns, rows = slide.levels_xy[level]
    origin = math.floor(left), math.floor(top)
    end = min(math.ceil(right), columns), min(math.ceil(bottom), rows)
    return SlidePlan(
        source=wanted.header.path.absolute(),
        level=level,
        level_xy=origin,
        level_size_xy=(end[0] - origin[0], end[1] - origin[1]),
        box_xy=(left - origin[0], top - origin[1], right - origin[0], bottom - origin[1]),
        size_xy=target.size_xy,
        tile_px=tile_px,
        method=wanted.method,
    )


# Which part of a slide is worth the model: found, drawn, or within an annotation.


POLYGONS = (".geojson", ".json")


def refuse_no_tissue(choice: str, header: Description) -> None:
    """Find out before the work whether a file of the person's is there, and polygons are within the slide.

    Raises:
        InputError: if not.
    """
    if choice in TISSUE_CHOICES:
        return
    if not Path(choice).is_file():
        raise InputError(f"Wanted all, mask or a file as the tissue, and there is no file {choice}.")
    if _holds_polygons(choice):
        read_roi(Path(choice), header)


def save_tissue(
    source: Path, field: Rectangle, mpp: Mpp | None, choice: str, roi: Roi | None, saved: Path
) -> None:
    """Find the tissue of a field and save its mask; on a worker, for the imports take much memory.

    Args:
        mpp: of level 0, where known.
        choice: "mask", "all" or the path of a mask or of polygons.
        roi: outside its polygons nothing is tissue.

    Raises:
        InputError: if the mask cannot be read, or the slide is damaged.
        OutputError: if the mask cannot be saved.
    """
    with open_slide(source, mpp) as slide:
        inside = roi.cells(grid_of(slide, field.size_xy)) if roi else None
        if choice == "all" and inside is not None:
            TissueMask(inside).save(saved)
            return
        if choice == "mask":
            cells = find_tissue(slide, *field).cells
        elif _holds_polygons(choice):
            drawn = replace(read_roi(Path(choice), slide.description), rectangle=field)
            cells = drawn.cells(grid_of(slide, field.size_xy))
        else:
            cells = read_tissue(Path(choice), slide, *field).cells
        TissueMask(cells if inside is None else cells & inside).save(saved)


def _holds_polygons(choice: str) -> bool:
    return Path(choice).suffix.lower() in POLYGONS
