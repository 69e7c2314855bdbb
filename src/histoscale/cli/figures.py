"""``histoscale figures``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import Data, Device, Precision, PrecisionName, Sets, Split


def figures(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[LABEL=]WEIGHTS",
            help="Name or .safetensors path, as of `compare`; may be repeated.",
        ),
    ] = None,
    data: Data = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.")] = Path("out/figures"),
    image: Annotated[
        list[str] | None,
        typer.Option(help="Name of an image to show; may be repeated. Evenly chosen otherwise."),
    ] = None,
    scale: Annotated[float, typer.Option(help="Of all figures but Fig. 7, which has its own.")] = 4.0,
    degradation: Annotated[str, typer.Option(help="B, C, D or none.")] = "B",
    sets: Sets = None,
    split: Split = "test",
    limit: Annotated[int, typer.Option(min=1, help="So many images of a set.")] = 3,
    crop: Annotated[int, typer.Option(help="Pixels a side that are shown of an image.")] = 192,
    mpp: Annotated[
        float | None,
        typer.Option(min=0.001, help="Micrometres per pixel of images that do not state theirs."),
    ] = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.fp32,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier page.")] = False,
) -> None:
    """Draw the paper's figures of images: error maps, odd scales, features, decoders, branches, a gallery."""
    if data is None:
        raise typer.BadParameter("give --data or $HISTOSCALE_DATA.")
    from histoscale.experiments.figures import experiment
    from histoscale.experiments.figures.figure import LeftOut

    with bar("drawing") as shown:
        entries = experiment.figures(
            model or (),
            data,
            output,
            images=image or (),
            scale=scale,
            degradation=degradation,
            sets=sets or (),
            split=split,
            limit=limit,
            crop_px=crop,
            mpp=mpp,
            precision=precision.value,
            device=device,
            overwrite=overwrite,
            progress=lambda done, total: shown.advance(done / total),
        )
    for entry in entries:
        if isinstance(entry, LeftOut):
            complain(f"{entry.section}. {entry.reason}", "note")
    say(f"The page is {output / experiment.INDEX}.")
