"""``histoscale tile``."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, say


class SplitBy(StrEnum):
    """What stays in one part of a split: all of a slide, or each sub-image by itself."""

    slide = "slide"
    tile = "tile"


class LosslessFormat(StrEnum):
    """Of pictures to train on."""

    png = "png"
    webp = "webp"


def tile(
    slides: Annotated[list[Path], typer.Argument(metavar="SLIDE", help="Slides or pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the sub-images.")],
    size: Annotated[
        int | None, typer.Option(min=8, help="Pixels of a sub-image's side; whole slides by default.")
    ] = None,
    tissue: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of tissue of a sub-image; 0 takes all.")
    ] = 0.5,
    split: Annotated[
        str, typer.Option(help="Train, val and test: numbers such as 320/40/40, or shares.")
    ] = "80%/10%/10%",
    split_by: Annotated[SplitBy, typer.Option(help="Keep slides apart, or only sub-images.")] = SplitBy.slide,
    random_crops: Annotated[
        int | None, typer.Option(min=1, help="So many at random from each slide, instead of a grid.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Reduce to these micrometres per pixel, such as 0.5.")
    ] = None,
    source_mpp: Annotated[
        float | None,
        typer.Option(help="Micrometres per pixel of the slides, where their metadata lack them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random places and the split.")] = 0,
    form: Annotated[LosslessFormat, typer.Option("--format", help="Both are lossless.")] = LosslessFormat.png,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Name of the data set; the folder's by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what `tile` wrote before.")] = False,
) -> None:
    """Cut slides into sub-images for training, with a manifest that run files and `evaluate` read."""
    if random_crops and not size:
        raise typer.BadParameter("--random-crops needs the --size of the crops.")
    if any(value is not None and not 0 < value < math.inf for value in (mpp, source_mpp)):
        raise typer.BadParameter("--mpp and --source-mpp are above 0.")
    from histoscale.tiling.dataset import Recipe, cut_slides
    from histoscale.tiling.splits import parse_split

    name = set_name or output.resolve().name
    places = Recipe(
        parse_split(split),
        size,
        tissue,
        random_crops,
        split_by.value,
        mpp,
        source_mpp,
        seed,
        form.value,
        name,
    )
    with bar("") as shown:
        counts = cut_slides(
            slides,
            output,
            places,
            overwrite=overwrite,
            report=lambda what, done, total: shown.advance(done / total, description=what),
        )
    words = ", ".join(f"{count} for {part}" for part, count in counts.items())
    say(f"{sum(counts.values())} sub-images of {len(slides)} slides written to {output}: {words}.")
