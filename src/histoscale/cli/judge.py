"""``histoscale judge``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import Crop, Data, Device, Limit, Precision, PrecisionName, Sets, Split


def judge(
    task: Annotated[
        str,
        typer.Option(
            "--task-model",
            metavar="FILE.py:FUNCTION|nuclei",
            help="FUNCTION(image, sample) gives a score, a dict of them, or (prediction, truth).",
        ),
    ],
    data: Data = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[LABEL=]WEIGHTS",
            help="Name or .safetensors path; iste-fast by default.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "out/judged"
    ),
    scale: Annotated[float, typer.Option(help="How much smaller the low-resolution image is.")] = 4.0,
    degradation: Annotated[str, typer.Option(help="none (plain bicubic), B, C or D.")] = "none",
    sets: Sets = None,
    split: Split = "test",
    limit: Limit = None,
    crop: Crop = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.auto,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew.")] = False,
) -> None:
    """Run a task of your own on original, small and enlarged images: what does super-resolution recover?"""
    if data is None:
        raise typer.BadParameter("give --data or $HISTOSCALE_DATA.")
    from histoscale.experiments.custom_task.experiment import judge as carry_out

    try:
        with bar("judging") as shown:
            found = carry_out(
                task,
                data,
                output,
                model or ["iste-fast"],
                scale=scale,
                degradation=degradation,
                sets=sets or (),
                split=split,
                limit=limit,
                crop_px=crop,
                precision=precision.value,
                device=device,
                overwrite=overwrite,
                progress=lambda done, total: shown.advance(done / total),
            )
    except KeyboardInterrupt:
        complain("stopped; the scores so far are kept, and the same command goes on with them.")
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(found.text)
    say(f"Scores of every image and the tables are in {output}.")
