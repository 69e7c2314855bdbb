"""One output tile: read, compute, store; a pure function of the job and the tile's number."""

import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from histoscale import weights
from histoscale.errors import HistoscaleError
from histoscale.inference import pixel_reader, to_uint8, upscale_part
from histoscale.models.base import SuperResolver
from histoscale.slides.reader import open_slide
from histoscale.slides.slide import Slide
from histoscale.slides.tile_store import TileStore
from histoscale.slides.tissue import TissueMask, blend
from histoscale.workflows.upscale.memory_failure import is_out_of_memory
from histoscale.workflows.upscale.slide_plan import OutputTile, SlidePlan, TileJob, TileResult

BLOCK_PX = 512
"""Side of the blocks a tile is rendered in: they bound the memory, and larger ones are not faster."""
SMALLEST_PART_PX = 64
"""A part of a tile that is not halved further when memory runs out."""
BICUBIC_REACH = 2
"""Input pixels that Pillow's bicubic looks at on either side, times the reduction."""

Part = tuple[slice, slice]
"""Rows and columns of the output."""


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "store": 0.0, "all": 0.0})

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started


@dataclass
class Patch:
    """Computed pixels of a tile, how many of them by the model, and in how many pieces."""

    pixels: UInt8[np.ndarray, "h w 3"]
    model_pixels: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Workbench:
    """What a worker opens once and uses for every tile of a job."""

    plan: SlidePlan
    slide: Slide
    store: TileStore
    model: SuperResolver | None
    tissue: TissueMask | None

    def pixels(self, tile: OutputTile, clock: Clock) -> Patch:
        """A tile by the plan's method."""
        if self.plan.method == "copy":
            return Patch(self._read(tile.rows, tile.cols, clock))
        part = tile.rows, tile.cols
        if self.plan.method == "reduce":
            return Patch(self._bicubic(part, clock))
        return self._enlarged(part, clock)

    def _enlarged(self, part: Part, clock: Clock) -> Patch:
        """The model on tissue, bicubic on glass, a mixture between."""
        size = self.plan.size_xy[::-1]
        if self.tissue is None or self.tissue.all(*part, size):
            return self._modelled(part, clock)
        if not self.tissue.any(*part, size):
            return Patch(self._bicubic(part, clock))
        mix = self.tissue.weights(*part, size)
        pixels = self._bicubic(part, clock)
        inside = _bounds(mix)
        patch = self._modelled((_moved(inside[0], part[0].start), _moved(inside[1], part[1].start)), clock)
        pixels[inside] = blend(patch.pixels, pixels[inside], mix[inside])
        return Patch(pixels, patch.model_pixels, patch.parts)

    def _modelled(self, part: Part, clock: Clock) -> Patch:
        """A rectangle through the model, in halves where memory does not hold it in one piece."""
        rows, cols = part
        height, width = rows.stop - rows.start, cols.stop - cols.start
        try:
            return Patch(self._in_one_piece(part, clock), height * width)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if max(height, width) <= SMALLEST_PART_PX:
                raise HistoscaleError(
                    f"Memory does not hold even {height} x {width} output pixels of the model: "
                    "give fewer --workers."
                ) from error
        halves = [self._modelled(half, clock) for half in _halved(part)]
        joined = np.concatenate([half.pixels for half in halves], axis=int(width > height))
        return Patch(joined, height * width, sum(half.parts for half in halves))

    def _in_one_piece(self, part: Part, clock: Clock) -> UInt8[np.ndarray, "H W 3"]:
        setting, plan = self.plan.setting, self.plan
        if self.model is None or setting is None:
            raise TypeError("a plan that enlarges has a model")
        output = np.empty((part[0].stop - part[0].start, part[1].stop - part[1].start, 3), np.uint8)

        def read(rows: slice, cols: slice) -> Tensor:
            return pixel_reader(self._read(rows, cols, clock))(slice(None), slice(None))

        blocks = upscale_part(
            self.model,
            read,
            plan.level_size_xy[::-1],
            plan.size_xy[::-1],
            part,
            block_px=BLOCK_PX,
            precision=setting.precision,
            device=setting.device,
        )
        for rows, cols, block in blocks:
            inside = _moved(rows, -part[0].start), _moved(cols, -part[1].start)
            output[inside] = to_uint8(block)[0].permute(1, 2, 0).cpu().numpy()
        return output

    def _bicubic(self, part: Part, clock: Clock) -> UInt8[np.ndarray, "H W 3"]:
        """Pillow's bicubic, antialiased where it reduces; a tile gets the pixels of the whole."""
        left, top, right, bottom = self.plan.box_xy
        rows, y0, y1 = _seen(part[0], top, bottom, self.plan.size_xy[1], self.plan.level_size_xy[1])
        cols, x0, x1 = _seen(part[1], left, right, self.plan.size_xy[0], self.plan.level_size_xy[0])
        window = Image.fromarray(self._read(rows, cols, clock))
        box = (x0 - cols.start, y0 - rows.start, x1 - cols.start, y1 - rows.start)
        size_xy = part[1].stop - part[1].start, part[0].stop - part[0].start
        return np.array(window.resize(size_xy, Image.Resampling.BICUBIC, box))

    def _read(self, rows: slice, cols: slice, clock: Clock) -> UInt8[np.ndarray, "h w 3"]:
        """Pixels of the image, which is a rectangle of the plan's level."""
        x, y = self.plan.level_xy
        with clock.timing("read"):
            return self.slide.read_region(
                self.plan.level,
                (x + cols.start, y + rows.start),
                (cols.stop - cols.start, rows.stop - rows.start),
            )


def compute_tile(job: TileJob, index: int) -> TileResult:
    """Compute a tile into the store, and return when it lies there complete.

    Raises:
        HistoscaleError: if the source is damaged there, the disk is full, or memory holds not even a part.
    """
    bench, tile, clock = workbench(job), job.plan.tile(index), Clock()
    with clock.timing("all"):
        patch = bench.pixels(tile, clock)
        with clock.timing("store"):
            bench.store.write(tile.rows, tile.cols, patch.pixels)
    seconds = clock.seconds
    return TileResult(
        index,
        tile.pixels,
        patch.model_pixels,
        read_s=seconds["read"],
        model_s=seconds["all"] - seconds["read"] - seconds["store"],
        store_s=seconds["store"],
        parts=patch.parts,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


@lru_cache(maxsize=1)
def workbench(job: TileJob) -> Workbench:
    """Open the slide, the model and the store, once per process and job."""
    plan, store = job.plan, TileStore(job.store)
    setting = plan.setting
    model = weights.load(setting.name, torch.device(setting.device)) if setting else None
    tissue = TissueMask.load(store.tissue) if plan.tissue else None
    return Workbench(plan, open_slide(plan.source), store, model, tissue)


def _seen(part: slice, start: float, stop: float, n_out: int, n_in: int) -> tuple[slice, float, float]:
    """The input pixels that bicubic needs for some output pixels, and the ends of those in input pixels."""
    step = (stop - start) / n_out
    first, last = start + part.start * step, start + part.stop * step
    reach = math.ceil(BICUBIC_REACH * max(step, 1.0)) + 1
    return slice(max(math.floor(first) - reach, 0), min(math.ceil(last) + reach, n_in)), first, last


def _halved(part: Part) -> tuple[Part, Part]:
    """The two halves of a rectangle, cut across its longer side."""
    rows, cols = part
    if cols.stop - cols.start > rows.stop - rows.start:
        middle = (cols.start + cols.stop) // 2
        return (rows, slice(cols.start, middle)), (rows, slice(middle, cols.stop))
    middle = (rows.start + rows.stop) // 2
    return (slice(rows.start, middle), cols), (slice(middle, rows.stop), cols)


def _bounds(mix: np.ndarray) -> Part:
    """The smallest rectangle that holds every weight above 0."""
    rows, cols = (np.flatnonzero((mix > 0).any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
