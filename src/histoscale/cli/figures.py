"""``histoscale figures``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import (
    DATA,
    Data,
    Degradation,
    Device,
    Models,
    OutputFolder,
    Overwrite,
    Precision,
    Sets,
    Split,
    require_data,
)


def figures(
    model: Models = None,
    data: Data = None,
    output: OutputFolder = Path("out/figures"),
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show this image; repeatable. Default: images spread evenly over each data set.",
            rich_help_panel=DATA,
        ),
    ] = None,
    scale: Annotated[
        float,
        typer.Option(metavar="FACTOR", help="Scale of all figures except Fig. 7.", rich_help_panel=DATA),
    ] = 4.0,
    degradation: Degradation = "B",
    sets: Sets = None,
    split: Split = "test",
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show N images of each data set.", rich_help_panel=DATA)
    ] = 3,
    crop: Annotated[
        int, typer.Option(metavar="PX", help="Show PX x PX pixels of each image.", rich_help_panel=DATA)
    ] = 192,
    mpp: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="UM",
            help="Micrometres per pixel of images whose files do not state it.",
            rich_help_panel=DATA,
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    overwrite: Overwrite = False,
) -> None:
    """Draw the paper's figures: edges, error maps, non-integer scales, features, decoders, branches, gallery.

    Examples:
        histoscale figures -m iste=iste --data images/ -o out/figures
        histoscale figures -m liif=liif.safetensors -m iste=iste --image testA_1
    """
    from histoscale.experiments.figures import experiment
    from histoscale.experiments.figures.figure import LeftOut
    from histoscale.experiments.images import ImageSelection
    from histoscale.resources import Compute

    selection = ImageSelection(require_data(data), tuple(sets or ()), split, (degradation,), limit, crop)

    with bar() as shown:
        entries = experiment.figures(
            model or (),
            selection,
            output,
            images=image or (),
            scale=scale,
            mpp=mpp,
            compute=Compute(device, precision),
            overwrite=overwrite,
            progress=shown.advance,
        )
    for entry in entries:
        if isinstance(entry, LeftOut):
            complain(f"{entry.section}. {entry.reason}", "note")
    say(f"The page is {output / experiment.INDEX}.")
