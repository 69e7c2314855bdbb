"""Which part of a slide the model computes: detected tissue, a mask, or polygons of an annotation."""

from dataclasses import replace
from pathlib import Path

from histoscale.errors import InputError, explaining
from histoscale.io.annotations import read_roi
from histoscale.io.formats import open_slide
from histoscale.io.slide import Description
from histoscale.io.tissue import TissueMask, find_tissue, grid_of
from histoscale.io.tissue_image import read_tissue
from histoscale.upscaling.options import TISSUE_CHOICES
from histoscale.upscaling.request import Request

POLYGONS = (".geojson", ".json")


def check_tissue_choice(choice: str, header: Description) -> None:
    """Check before the work that a mask file exists, and that polygons are within the slide.

    Raises:
        InputError: if not.
    """
    if choice in TISSUE_CHOICES:
        return
    if not Path(choice).is_file():
        raise InputError(f"--tissue is neither all nor mask, and there is no file {choice}.")
    if _is_geojson(choice):
        with explaining(choice):
            read_roi(Path(choice), header)


def save_tissue(source: Path, request: Request, choice: str, saved: Path) -> None:
    """Save the mask of what the model computes; called on a worker, for the imports take much memory.

    Args:
        choice: "mask", "all" or the path of a mask image or GeoJSON file.

    Raises:
        InputError: if the mask cannot be read, or the slide is damaged.
        OutputError: if the mask cannot be saved.
    """
    region, roi = request.region, request.roi
    with open_slide(source, request.mpp) as slide:
        inside = roi.cells(grid_of(slide, region.size_xy)) if roi else None
        if choice == "all" and inside is not None:
            TissueMask(inside).save(saved)
            return
        if choice == "mask":
            cells = find_tissue(slide, *region).cells
        elif _is_geojson(choice):
            drawn = replace(read_roi(Path(choice), slide.description), rectangle=region)
            cells = drawn.cells(grid_of(slide, region.size_xy))
        else:
            cells = read_tissue(Path(choice), slide, *region).cells
        TissueMask(cells if inside is None else cells & inside).save(saved)


def _is_geojson(choice: str) -> bool:
    return Path(choice).suffix.lower() in POLYGONS
