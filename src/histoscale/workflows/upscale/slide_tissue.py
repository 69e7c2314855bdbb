"""Which part of a slide is worth the model: found, drawn, or within an annotation."""

from pathlib import Path

from histoscale.slides.cells import grid_of
from histoscale.slides.reader import open_slide
from histoscale.slides.regions import Rectangle, Roi
from histoscale.slides.tissue import TissueMask, find_tissue, read_tissue


def save_tissue(source: Path, field: Rectangle, choice: str, roi: Roi | None, saved: Path) -> None:
    """Find the tissue of a field and save its mask; on a worker, for the imports take much memory.

    Args:
        choice: "mask", "all" or the path of a mask.
        roi: outside its polygons nothing is tissue.

    Raises:
        InputError: if the mask cannot be read, or the slide is damaged.
        OutputError: if the mask cannot be saved.
    """
    with open_slide(source) as slide:
        inside = roi.cells(grid_of(slide, field.size_xy)) if roi else None
        if choice == "all" and inside is not None:
            TissueMask(inside).save(saved)
            return
        found = find_tissue(slide, *field) if choice == "mask" else read_tissue(Path(choice), slide, *field)
        TissueMask(found.cells if inside is None else found.cells & inside).save(saved)
