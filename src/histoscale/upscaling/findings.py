"""Measure a written slide before its store is deleted: share of tissue, and a small view before and after."""

from pathlib import Path
from typing import NamedTuple

from histoscale.errors import HistoscaleError
from histoscale.io.annotations import Rectangle
from histoscale.io.formats import open_slide
from histoscale.io.image_reader import read_mask
from histoscale.io.slide import Slide
from histoscale.io.thumbnail import overview, to_jpeg
from histoscale.io.tile_store import TileStore
from histoscale.upscaling.plan import SlidePlan
from histoscale.upscaling.results import Views


class Findings(NamedTuple):
    """The fields of the same names of `SlideOutcome`."""

    tissue_share: float | None
    views: Views


def measure_written(
    source: Slide, region: Rectangle, plan: SlidePlan, store: TileStore, target: Path
) -> Findings:
    """Measure a written slide, in little memory and a second or two.

    Args:
        region: of the source that was upscaled.
        target: the written slide.
    """
    return Findings(
        share_of_tissue(store.tissue) if plan.tissue else None,
        Views(_view(source, region), _view_of(target)),
    )


def share_of_tissue(mask: Path) -> float:
    """Share of the area, from a saved `TissueMask`; that class would import all of skimage."""
    return float(read_mask(mask).mean())


def _view_of(target: Path) -> bytes | None:
    try:
        with open_slide(target) as written:
            return _view(written, Rectangle((0, 0), written.levels_xy[0]))
    except HistoscaleError:
        return None


def _view(slide: Slide, region: Rectangle) -> bytes | None:
    """A small view as JPEG; None if it cannot be made, which only the report misses."""
    try:
        seen = overview(slide, *region)
    except HistoscaleError:
        return None
    return None if seen is None else to_jpeg(seen)
