"""A folder of sub-images with their manifest, as `histoscale.data.manifest` reads it."""

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
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Recipe:
    """How slides are cut.

    Attributes:
        split: how much for training, validation and test; ``split_by`` "slide" or "tile".
        side_px: of a sub-image; None for whole slides.
        tissue: least share of it.
        random_crops: so many at random from each slide, instead of the regular grid.
        mpp: micrometres per pixel of the sub-images; None for the slides' own.
        source_mpp: of the slides, where they do not say.
        form: "png" or "webp", both without loss.
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
    recipe: Recipe,
    *,
    overwrite: bool = False,
    report: Report = lambda _what, _done, _total: None,
) -> dict[str, int]:
    """Write a folder of sub-images with ``manifest.csv``, whole or not at all.

    Returns:
        how many are for training, validation and test.

    Raises:
        InputError: if a slide cannot be read.
        DataError: if two slides share a name, or the slides hold too few sub-images.
        ScaleError: if a slide is coarser than wanted.
        OutputError: if the folder exists or cannot be written.
    """
    named = _named(slides)
    if not overwrite:
        refuse_existing(output)
    _refuse_foreign(output)
    split = split_by_tile if recipe.split_by == "tile" else split_by_slide
    cuts = list(_find_cuts(named, recipe, report))
    if not cuts:
        side = f" of {recipe.side_px} px" if recipe.side_px else ""
        raise DataError(
            f"No sub-image{side} with {recipe.tissue:.0%} of tissue fits into {', '.join(named)}: give a "
            "smaller --size or --tissue."
        )
    chosen = split(cuts, recipe.split, recipe.seed)
    with atomic_folder(output, overwrite=overwrite) as folder:
        rows = list(_write_cuts(named, chosen, folder, recipe, report))
        with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        origin = {
            "histoscale": version("histoscale"),
            "slides": [path.name for path in slides],
            **asdict(recipe),
        }
        (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    counts = Counter(name for name, _ in chosen)
    return {name: counts[name] for name in NAMES}


def _named(slides: Sequence[Path]) -> dict[str, Path]:
    """Slides by their file names without suffix."""
    named: dict[str, Path] = {}
    for path in slides:
        twin = named.setdefault(path.stem, path)
        if twin is not path:
            raise DataError(f"Wanted a name of its own for each slide, got {twin} and {path}.")
    return named


def _refuse_foreign(output: Path) -> None:
    """Nothing but what this verb wrote is ever replaced."""
    if output.exists() and not ((output / MANIFEST).is_file() and (output / ORIGIN).is_file()):
        raise OutputError(
            f"{output} was not written by `histoscale tile` and is not replaced: choose another name."
        )


def _find_cuts(named: dict[str, Path], recipe: Recipe, report: Report) -> Iterator[Cut]:
    for done, (name, path) in enumerate(named.items()):
        report(f"tissue of {name}", done, len(named))
        known = Mpp(recipe.source_mpp, recipe.source_mpp) if recipe.source_mpp else None
        with explaining(path), open_slide(path, known) as slide:
            frame = frame_of(slide, recipe.mpp, recipe.source_mpp)
            mask = find_tissue(slide, (0, 0), slide.levels_xy[0])
        if recipe.random_crops and recipe.side_px:
            count = recipe.random_crops
            yield from random_cuts(name, frame, mask, recipe.side_px, recipe.tissue, count, recipe.seed)
        else:
            yield from grid_cuts(name, frame, mask, recipe.side_px, recipe.tissue)


def _write_cuts(
    named: dict[str, Path], chosen: Sequence[tuple[str, Cut]], folder: Path, recipe: Recipe, report: Report
) -> Iterator[dict[str, Any]]:
    """Write the sub-images, each slide opened once, and give the manifest's rows."""
    ordered = sorted(chosen, key=lambda pair: list(named).index(pair[1].slide))
    done = 0
    for name, members in groupby(ordered, key=lambda pair: pair[1].slide):
        with explaining(named[name]), open_slide(named[name]) as slide:
            frame = frame_of(slide, recipe.mpp, recipe.source_mpp)
            for part, cut in members:
                report("cutting", done, len(chosen))
                pixels = read_cut(slide, frame, cut)
                file = f"{part}/{cut.id}.{recipe.form}"
                write_image(folder / file, _output(pixels, slide, frame))
                yield _row(cut, part, file, frame, pixels, recipe.set)
                done += 1


def _output(pixels: UInt8[np.ndarray, "h w 3"], slide: Slide, frame: Frame) -> OutputImage:
    whole_xy = slide.levels_xy[0]
    across, down = (n / whole for n, whole in zip(frame.size_xy, whole_xy, strict=True))
    note = COPIED if frame.size_xy == whole_xy else REDUCED
    name = slide.description.path.name
    provenance = Provenance(version("histoscale"), note, name, (across, down), frame.mpp)
    return OutputImage(pixels, None, slide.description.icc_profile, provenance)


def _row(
    cut: Cut, part: str, file: str, frame: Frame, pixels: UInt8[np.ndarray, "h w 3"], name: str
) -> dict[str, Any]:
    mpp = sum(frame.mpp) / 2 if frame.mpp else None
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    values = (name, part, cut.id, file, *cut.size_xy, f"{mpp:.6g}" if mpp else "", cut.slide, *cut.xy)
    return dict(zip(COLUMNS, (*values, f"{cut.tissue:.3f}", digest), strict=True))
