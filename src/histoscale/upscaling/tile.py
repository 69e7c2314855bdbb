"""Compute one output tile: read, compute, store; a pure function of the job and the tile's number.

torch is imported only where a model takes part, and the tissue's libraries only where there is a mask.
"""

import math
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from histoscale.errors import InputError, explaining
from histoscale.io.formats import open_slide
from histoscale.io.slide import Slide
from histoscale.io.tile_store import TileStore
from histoscale.upscaling.fingerprint import content_digest
from histoscale.upscaling.plan import OutputTile, Part, SlidePlan, TileJob, TileResult

if TYPE_CHECKING:
    from histoscale.io.tissue import TissueMask
    from histoscale.upscaling.tile_model import TileModel

BICUBIC_REACH = 2
"""Input pixels that Pillow's bicubic uses on either side, times the reduction."""
STRIP_PX = 128
"""Rows that are blended at once: the weights are floats and take four times the memory."""
QUARTERS = 4
"""Parts of a tile's side: the model computes whole quarters. The convolutions keep code and tables for every
shape, so arbitrary shapes would let memory grow with the slide."""


class Source:
    """The input image of a plan: a rectangle of one level of a slide.

    Attributes:
        read_s: seconds spent in reading so far.
    """

    def __init__(self, slide: Slide, plan: SlidePlan):
        self._slide, self._plan = slide, plan
        self.read_s = 0.0

    def read(self, rows: slice, cols: slice) -> UInt8[np.ndarray, "h w 3"]:
        """Read a rectangle of the image."""
        (x, y), started = self._plan.level_xy, time.perf_counter()
        size_xy = cols.stop - cols.start, rows.stop - rows.start
        pixels = self._slide.read_region(self._plan.level, (x + cols.start, y + rows.start), size_xy)
        self.read_s += time.perf_counter() - started
        return pixels

    def bicubic(self, part: Part) -> UInt8[np.ndarray, "H W 3"]:
        """Output pixels by Pillow's bicubic, antialiased where it reduces; a tile gets those of the whole."""
        left, top, right, bottom = self._plan.box_xy
        (across, down), (width, height) = self._plan.size_xy, self._plan.level_size_xy
        # Pillow interpolates between the ends of a box in floats. With the box of the whole output and enough
        # pixels around it, a tile has the pixels that the whole would have.
        rows, y0, y1 = _under(part[0], (bottom - top) / down, top, height)
        cols, x0, x1 = _under(part[1], (right - left) / across, left, width)
        window = Image.fromarray(self.read(rows, cols))
        box = (x0 - cols.start, y0 - rows.start, x1 - cols.start, y1 - rows.start)
        size_xy = part[1].stop - part[1].start, part[0].stop - part[0].start
        return np.array(window.resize(size_xy, Image.Resampling.BICUBIC, box))


@dataclass
class Patch:
    """Computed pixels of a tile, how many of them by the model, in how many pieces and seconds."""

    pixels: UInt8[np.ndarray, "h w 3"]
    model_pixels: int = 0
    parts: int = 1
    model_s: float = 0.0


@dataclass(frozen=True)
class OpenedJob:
    """What a worker opens once for all tiles of a job: slide, store, model, tissue mask."""

    plan: SlidePlan
    source: Source
    store: TileStore
    model: "TileModel | None"
    tissue: "TissueMask | None"

    def pixels(self, tile: OutputTile) -> Patch:
        """Compute a tile by the plan's method."""
        if self.plan.method == "copy":
            return Patch(self.source.read(*tile.part))
        if self.model is None:
            return Patch(self.source.bicubic(tile.part))
        return self._mixed(self.model, tile.part)

    def _mixed(self, model: "TileModel", part: Part) -> Patch:
        """Compute tissue by the model, background by bicubic, and blend where they meet."""
        size = self.plan.size_xy[::-1]
        if self.tissue is None or self.tissue.all(*part, size):
            return self._by_model(model, part)
        # Bicubic everywhere first; the model then replaces the smallest rectangle that holds all tissue.
        pixels = self.source.bicubic(part)
        if (inside := _part_with_tissue(self.tissue, part, size, self.plan.tile_px // QUARTERS)) is None:
            return Patch(pixels)
        modelled = self._by_model(model, inside)
        _blend(pixels, part, modelled.pixels, inside, self.tissue, size)
        return replace(modelled, pixels=pixels)

    def _by_model(self, model: "TileModel", part: Part) -> Patch:
        """Compute a rectangle by the model alone."""
        read_before, started = self.source.read_s, time.perf_counter()
        pixels, n, parts = model.upscale(part, self.source.read)
        read_s = self.source.read_s - read_before  # the model reads its windows itself
        return Patch(pixels, n, parts, time.perf_counter() - started - read_s)


def compute_tile(job: TileJob, index: int) -> TileResult:
    """Compute a tile and write it into the store.

    Raises:
        HistoscaleError: if the source is damaged there, the disk is full, or memory runs out.
    """
    tile = job.plan.tile(index)
    # Here, because an exception of another library may not survive the way from a worker.
    with explaining(f"{job.plan.source} at output pixel ({tile.cols.start}, {tile.rows.start})"):
        opened = open_job(job)
        read_before, started = opened.source.read_s, time.perf_counter()
        patch = opened.pixels(tile)
        computed, read_s = time.perf_counter(), opened.source.read_s - read_before
        opened.store.write(tile.rows, tile.cols, patch.pixels)
    return TileResult(
        index,
        tile.pixels,
        patch.model_pixels,
        read_s=read_s,
        model_s=patch.model_s,
        interpolate_s=computed - started - read_s - patch.model_s,
        store_s=time.perf_counter() - computed,
        parts=patch.parts,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


@lru_cache(maxsize=1)
def open_job(job: TileJob) -> OpenedJob:
    """Open the slide, the model and the store, once for each process and job."""
    plan, store, model, tissue = job.plan, TileStore(job.store), None, None
    slide = open_slide(plan.source)
    if job.source_digest and content_digest(plan.source) != job.source_digest:
        raise InputError(f"{plan.source} has changed since this run was started: use --overwrite.")
    if plan.setting:
        from histoscale.upscaling.tile_model import TileModel

        model = TileModel(plan, plan.setting)
    if plan.tissue:
        from histoscale.io.tissue import TissueMask

        tissue = TissueMask.load(store.tissue)
    return OpenedJob(plan, Source(slide, plan), store, model, tissue)


def _under(part: slice, step: float, start: float, n_in: int) -> tuple[slice, float, float]:
    """The input pixels that bicubic needs for some output pixels, and the ends of those in input pixels."""
    first, last = start + part.start * step, start + part.stop * step
    # One pixel more than the kernel's reach: Pillow rounds the ends of its support outwards.
    reach = math.ceil(BICUBIC_REACH * max(step, 1.0)) + 1
    return slice(max(math.floor(first) - reach, 0), min(math.ceil(last) + reach, n_in)), first, last


def _strips(rows: slice) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, STRIP_PX):
        yield slice(start, min(start + STRIP_PX, rows.stop))


def _part_with_tissue(tissue: "TissueMask", part: Part, size: tuple[int, int], step: int) -> Part | None:
    """The smallest rectangle of whole steps, or up to the rim, that holds every weight above 0."""
    if not tissue.any(*part, size):
        return None
    # Weights fade beyond the mask, so they and not the mask say where the model is needed.
    over = [tissue.weights(rows, part[1], size) > 0 for rows in _strips(part[0])]
    rows = np.flatnonzero(np.concatenate([strip.any(axis=1) for strip in over]))
    cols = np.flatnonzero(np.any([strip.any(axis=0) for strip in over], axis=0))
    if not rows.size:
        return None
    return _in_steps(rows, part[0], step), _in_steps(cols, part[1], step)


def _in_steps(found: Int64[np.ndarray, " n"], side: slice, step: int) -> slice:
    """Whole steps from a side's start that hold all places found."""
    first, last = int(found[0]) // step * step, (int(found[-1]) // step + 1) * step
    return slice(side.start + first, min(side.start + last, side.stop))


def _blend(
    pixels: UInt8[np.ndarray, "h w 3"],
    part: Part,
    modelled: UInt8[np.ndarray, "i j 3"],
    inside: Part,
    tissue: "TissueMask",
    size: tuple[int, int],
) -> None:
    """Mix the model's pixels into those of a tile, which change in place."""
    from histoscale.io.tissue import blend

    cols = slice(inside[1].start - part[1].start, inside[1].stop - part[1].start)
    for rows in _strips(inside[0]):
        here = slice(rows.start - part[0].start, rows.stop - part[0].start)
        # The strip in the frame of the tile, and in that of the model's rectangle.
        ours = modelled[rows.start - inside[0].start : rows.stop - inside[0].start]
        pixels[here, cols] = blend(ours, pixels[here, cols], tissue.weights(rows, inside[1], size))
