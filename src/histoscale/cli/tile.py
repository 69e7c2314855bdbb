"""``histoscale tile``."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from histoscale.cli.console import bar, say
from histoscale.cli.options import OUTPUT

SPLIT, TILES = "Split", "Sub-images"


def tile(
    slides: Annotated[list[Path], typer.Argument(metavar="SLIDE", help="Slides or images.")],
    *,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PX",
            help="Side of a sub-image. Default: whole slides.",
            rich_help_panel=TILES,
        ),
    ] = None,
    tissue: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Keep sub-images with at least this share of tissue; 0 keeps all.",
            rich_help_panel=TILES,
        ),
    ] = 0.5,
    split: Annotated[
        str,
        typer.Option(
            metavar="TRAIN/VAL/TEST",
            help="Number of sub-images in each split, such as 320/40/40, or shares.",
            rich_help_panel=SPLIT,
        ),
    ] = "80%/10%/10%",
    split_by: Annotated[
        Literal["slide", "tile"],
        typer.Option(
            metavar="UNIT",
            help="`slide` keeps all sub-images of a slide in one split, `tile` does not.",
            rich_help_panel=SPLIT,
        ),
    ] = "slide",
    random_crops: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Cut N sub-images at random places of each slide, instead of a grid.",
            rich_help_panel=TILES,
        ),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            help="Downsample to this many micrometres per pixel, such as 0.5.",
            rich_help_panel=TILES,
        ),
    ] = None,
    source_mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            help="Micrometres per pixel of the slides, if their metadata lack them.",
            rich_help_panel=TILES,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Seed of the random places and of the split.", rich_help_panel=SPLIT
        ),
    ] = 0,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for the sub-images.", rich_help_panel=OUTPUT
        ),
    ],
    form: Annotated[
        Literal["png", "webp"],
        typer.Option(
            "--format", metavar="NAME", help="`png` or `webp`, both lossless.", rich_help_panel=OUTPUT
        ),
    ] = "png",
    set_name: Annotated[
        str | None,
        typer.Option(
            "--set",
            metavar="NAME",
            help="Name of the data set. Default: the folder's name.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a folder that this command wrote.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Cut slides into sub-images for training and testing, and write a manifest of them.

    Examples:
        histoscale tile slides/*.svs -o data/mine --size 3072 --split 320/40/40
        histoscale tile cores/*.tif -o data/cores --tissue 0 --source-mpp 0.5
    """
    if random_crops and not size:
        raise typer.BadParameter("--random-crops needs --size, the side of a crop.")
    if any(value is not None and not 0 < value < math.inf for value in (mpp, source_mpp)):
        raise typer.BadParameter("--mpp and --source-mpp must be above 0.")
    from histoscale.tiling.dataset import Tiling, cut_slides
    from histoscale.tiling.splits import parse_split

    tiling = Tiling(
        split=parse_split(split),
        side_px=size,
        tissue=tissue,
        random_crops=random_crops,
        split_by=split_by,
        mpp=mpp,
        source_mpp=source_mpp,
        seed=seed,
        form=form,
        set=set_name or output.resolve().name,
    )
    with bar() as shown:
        counts = cut_slides(
            slides,
            output,
            tiling,
            overwrite=overwrite,
            report=lambda what, done, total: shown.advance(done / total, what),
        )
    splits = ", ".join(f"{count} for {name}" for name, count in counts.items())
    say(f"{sum(counts.values())} sub-images of {len(slides)} slides written to {output}: {splits}.")
