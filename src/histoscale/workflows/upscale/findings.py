"""What a written slide is looked at for before its store goes: seams, tissue, and how it looks."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from histoscale.errors import HistoscaleError
from histoscale.metrics.seams import Jumps, measure
from histoscale.slides.overview import overview, to_jpeg
from histoscale.slides.reader import open_slide
from histoscale.slides.regions import Rectangle
from histoscale.slides.slide import Slide
from histoscale.slides.tile_store import TileStore
from histoscale.workflows.upscale.slide_outcome import Views
from histoscale.workflows.upscale.slide_plan import SlidePlan


class Findings(NamedTuple):
    """As the fields of the same names of `SlideOutcome`."""

    tissue_share: float | None
    seams: Jumps | None
    views: Views


def look_at(source: Slide, field: Rectangle, plan: SlidePlan, store: TileStore, target: Path) -> Findings:
    """All of it, in little memory and a second or two.

    Args:
        field: what was wanted of the source.
        target: the written slide.
    """
    return Findings(
        share_of_tissue(store.tissue) if plan.tissue else None,
        measured_seams(plan, store) if plan.method == "model" else None,
        Views(_view(source, field), _view_of(target)),
    )


def measured_seams(plan: SlidePlan, store: TileStore) -> Jumps | None:
    """Whether tiles show in the pixels as computed, before any compression; None where there is one tile."""
    scale = max(out / side for out, side in zip(plan.size_xy, plan.level_size_xy, strict=True))
    return measure(store.read, plan.size_xy, plan.tile_px, scale)


def share_of_tissue(mask: Path) -> float:
    """Of the area, from what `TissueMask.save` wrote; that class would bring all of skimage into memory."""
    with Image.open(mask) as cells:
        return float((np.asarray(cells) != 0).mean())


def _view_of(target: Path) -> bytes | None:
    try:
        with open_slide(target) as written:
            return _view(written, Rectangle((0, 0), written.levels_xy[0]))
    except HistoscaleError:
        return None


def _view(slide: Slide, field: Rectangle) -> bytes | None:
    """A view that fails is missing in the report, and that is all."""
    try:
        seen = overview(slide, *field)
    except HistoscaleError:
        return None
    return None if seen is None else to_jpeg(seen)
