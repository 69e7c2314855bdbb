"""Which part of a slide is worth the model: found, drawn, or within an annotation."""

from dataclasses import replace
from pathlib import Path

from histoscale.errors import InputError
from histoscale.slides.cells import grid_of
from histoscale.slides.description import Description, Mpp
from histoscale.slides.reader import open_slide
from histoscale.slides.regions import Rectangle, Roi, read_roi
from histoscale.slides.tissue import TissueMask, find_tissue, read_tissue
from histoscale.workflows.upscale.options import TISSUE_CHOICES

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
