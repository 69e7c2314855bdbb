"""Write a folder of sub-images with a manifest that `histoscale.data.manifest` reads."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import DataError, OutputError, explaining
from histoscale.files import atomic_folder, refuse_existing
from histoscale.io.formats import open_slide
from histoscale.io.provenance import COPIED, REDUCED, Provenance
from histoscale.io.slide import Mpp, Slide
from histoscale.io.tissue import find_tissue
from histoscale.io.writers.base import OutputImage
from histoscale.io.writers.formats import write_image
from histoscale.tiling.crops import Cut, Frame, frame_of, grid_cuts, random_cuts, read_cut
from histoscale.tiling.splits import NAMES, Split, split_by_slide, split_by_tile

MANIFEST, ORIGIN = "manifest.csv", "origin.json"
COLUMNS = (
    "set",
    "split",
    "id",
    "file",
    "width",
    "height",
    "mpp",
    "slide",
    "x",
    "y",
    "tissue",
    "sha256_pixels",
)
Report = Callable[[str, int, int], None]
"""Called with the current task, the number of finished steps and their total."""


@dataclass(frozen=True)
class Tiling:
    """How slides are cut into sub-images.

    Attributes:
        split: numbers or shares for training, validation and test.
        side_px: side of a sub-image; None for whole slides.
        tissue: smallest share of tissue of a sub-image.
        random_crops: number of random sub-images per slide; None for a regular grid.
        split_by: "slide" keeps each slide in one part; "tile" splits single sub-images.
        mpp: micrometres per pixel of the sub-images; None for those of the slides.
        source_mpp: micrometres per pixel of slides that do not state them.
        seed: seed of the random numbers.
        form: "png" or "webp", both lossless.
        set: name of the data set.
    """

    split: Split
    side_px: int | None = None
    tissue: float = 0.0
    random_crops: int | None = None
    split_by: str = "slide"
    mpp: float | None = None
    source_mpp: float | None = None
    seed: int = 0
    form: str = "png"
    set: str = "slides"


def cut_slides(
    slides: Sequence[Path],
    output: Path,
    tiling: Tiling,
    *,
    overwrite: bool = False,
    report: Report = lambda _what, _done, _total: None,
) -> dict[str, int]:
    """Write a folder of sub-images with ``manifest.csv``, completely or not at all.

    Args:
        slides: the slides to cut.
        output: the folder to write.
        tiling: how to cut.
        overwrite: replace a folder that this function wrote earlier.
        report: called with the progress.

    Returns:
        The number of sub-images for training, validation and test.

    Raises:
        InputError: if a slide cannot be read.
        DataError: if two slides have the same name, or the slides give too few sub-images.
        ScaleError: if a slide is coarser than the sub-images.
        OutputError: if the folder exists or cannot be written.
    """
    named = _named(slides)
    if not overwrite:
        refuse_existing(output)
    _refuse_foreign(output)
    split = split_by_tile if tiling.split_by == "tile" else split_by_slide
    cuts = list(_find_cuts(named, tiling, report))
    if not cuts:
        side = f" of {tiling.side_px} px" if tiling.side_px else ""
        names = ", ".join(path.name for path in slides)
        raise DataError(
            f"No sub-image{side} fits into {names} and has {tiling.tissue:.0%} of tissue: give a smaller "
            "--size or --tissue."
        )
    chosen = split(cuts, tiling.split, tiling.seed)
    with atomic_folder(output, overwrite=overwrite) as folder:
        rows = list(_write_cuts(named, chosen, folder, tiling, report))
        with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        origin = {
            "histoscale": version("histoscale"),
            "slides": [path.name for path in slides],
            **asdict(tiling),
        }
        (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    counts = Counter(name for name, _ in chosen)
    return {name: counts[name] for name in NAMES}


def _named(slides: Sequence[Path]) -> dict[str, Path]:
    """Index slides by their file names without suffix."""
    named: dict[str, Path] = {}
    for path in slides:
        twin = named.setdefault(path.stem, path)
        if twin is not path:
            raise DataError(f"Two slides have the same name, {twin} and {path}: rename one of them.")
    return named


def _refuse_foreign(output: Path) -> None:
    """Raise `OutputError` if the output exists and was not written by this verb."""
    if output.exists() and not ((output / MANIFEST).is_file() and (output / ORIGIN).is_file()):
        raise OutputError(
            f"{output} was not written by `histoscale tile` and is not overwritten: choose another name."
        )


def _find_cuts(named: dict[str, Path], tiling: Tiling, report: Report) -> Iterator[Cut]:
    """Find the tissue of each slide and yield its sub-images."""
    for done, (name, path) in enumerate(named.items()):
        report(f"tissue of {name}", done, len(named))
        known = Mpp(tiling.source_mpp, tiling.source_mpp) if tiling.source_mpp else None
        with explaining(path), open_slide(path, known) as slide:
            frame = frame_of(slide, tiling.mpp, tiling.source_mpp)
            mask = find_tissue(slide, (0, 0), slide.levels_xy[0])
        if tiling.random_crops and tiling.side_px:
            count = tiling.random_crops
            yield from random_cuts(name, frame, mask, tiling.side_px, tiling.tissue, count, tiling.seed)
        else:
            yield from grid_cuts(name, frame, mask, tiling.side_px, tiling.tissue)


def _write_cuts(
    named: dict[str, Path], chosen: Sequence[tuple[str, Cut]], folder: Path, tiling: Tiling, report: Report
) -> Iterator[dict[str, Any]]:
    """Write the sub-images, opening each slide once, and yield the rows of the manifest."""
    ordered = sorted(chosen, key=lambda pair: list(named).index(pair[1].slide))
    done = 0
    for name, members in groupby(ordered, key=lambda pair: pair[1].slide):
        with explaining(named[name]), open_slide(named[name]) as slide:
            frame = frame_of(slide, tiling.mpp, tiling.source_mpp)
            for part, cut in members:
                report("cutting", done, len(chosen))
                pixels = read_cut(slide, frame, cut)
                file = f"{part}/{cut.id}.{tiling.form}"
                write_image(folder / file, _output(pixels, slide, frame))
                yield _row(cut, part, file, frame, pixels, tiling.set)
                done += 1


def _output(pixels: UInt8[np.ndarray, "h w 3"], slide: Slide, frame: Frame) -> OutputImage:
    """Add the colour profile of the slide and the provenance to the pixels."""
    whole_xy = slide.levels_xy[0]
    across, down = (n / whole for n, whole in zip(frame.size_xy, whole_xy, strict=True))
    note = COPIED if frame.size_xy == whole_xy else REDUCED
    name = slide.description.path.name
    provenance = Provenance(version("histoscale"), note, name, (across, down), frame.mpp)
    return OutputImage(pixels, None, slide.description.icc_profile, provenance)


def _row(
    cut: Cut, part: str, file: str, frame: Frame, pixels: UInt8[np.ndarray, "h w 3"], name: str
) -> dict[str, Any]:
    """Make a row of the manifest."""
    mpp = sum(frame.mpp) / 2 if frame.mpp else None
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    values = (name, part, cut.id, file, *cut.size_xy, f"{mpp:.6g}" if mpp else "", cut.slide, *cut.xy)
    return dict(zip(COLUMNS, (*values, f"{cut.tissue:.3f}", digest), strict=True))
