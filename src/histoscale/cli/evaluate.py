"""``histoscale evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar
from histoscale.cli.options import (
    MODEL,
    AllowResize,
    Crop,
    Data,
    Degradations,
    Device,
    Limit,
    OutputFolder,
    Overwrite,
    Precision,
    Resume,
    Scales,
    Sets,
    Split,
    Workers,
    refuse_both,
    require_data,
    scores_kept,
)


def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="WEIGHTS",
            help="Model name or .safetensors file; repeatable. Default: iste-fast.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    data: Data = None,
    output: OutputFolder = Path("out/evaluation"),
    sets: Sets = None,
    split: Split = "test",
    scale: Scales = None,
    degradation: Degradations = None,
    limit: Limit = None,
    crop: Crop = None,
    allow_resize: AllowResize = False,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Workers = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure PSNR and SSIM of models and of bicubic interpolation on test images.

    Without --degradation, images are downsampled with B (blur) and with none (bicubic alone). The scores
    are written as CSV, the tables as Markdown.

    Examples:
        histoscale evaluate -m iste-fast --data images/ --scale 2 --scale 4
        histoscale evaluate -m mine.safetensors --data data/tma --split val
    """
    refuse_both("--resume", "--overwrite")
    from histoscale.experiments import evaluate as experiment
    from histoscale.experiments.images import ImageSelection
    from histoscale.resources import Compute

    with interrupted(scores_kept(output)), bar() as shown:
        experiment.evaluate(
            model or ["iste-fast"],
            ImageSelection(
                require_data(data),
                tuple(sets or ()),
                split,
                tuple(degradation or experiment.DEGRADATIONS),
                limit,
                crop,
            ),
            output,
            scales=scale or experiment.SCALES,
            allow_resize=allow_resize,
            compute=Compute(device, precision, workers),
            resume=resume,
            overwrite=overwrite,
            progress=shown.advance,
        )
    typer.echo((output / "tables.md").read_text(encoding="utf-8"))
