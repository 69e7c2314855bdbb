"""``histoscale judge``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say
from histoscale.cli.options import (
    DATA,
    SAME_COMMAND,
    AlwaysResume,
    Crop,
    Data,
    Degradation,
    Device,
    Limit,
    Models,
    OutputFolder,
    Overwrite,
    Precision,
    Scores,
    Sets,
    Split,
    refuse_beside_from,
    require_data,
)


def judge(
    task: Annotated[
        str | None,
        typer.Option(
            "--task-model",
            metavar="FILE.py:FUNCTION",
            help="Your task: FUNCTION(image, sample) returns a score, a dict of scores, or a pair "
            "(prediction, ground truth). `nuclei` is a task that is shipped with this package.",
        ),
    ] = None,
    data: Data = None,
    model: Models = None,
    output: OutputFolder = Path("out/judged"),
    scale: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Factor by which the original is downsampled and upscaled again.",
            rich_help_panel=DATA,
        ),
    ] = 4.0,
    degradation: Degradation = "none",
    sets: Sets = None,
    split: Split = "test",
    limit: Limit = None,
    crop: Crop = None,
    device: Device = "auto",
    precision: Precision = "auto",
    scores: Scores = None,
    overwrite: Overwrite = False,
    _resume: AlwaysResume = False,
) -> None:
    """Run your own task on original, low-resolution and super-resolved images, and compare the scores.

    Without --model, the model is iste-fast.

    Examples:
        histoscale judge --task-model nuclei --set monuseg
        histoscale judge --task-model mine.py:predict --data images/ -m iste-fast
    """
    from histoscale.experiments.custom_task import experiment
    from histoscale.experiments.images import ImageSelection
    from histoscale.resources import Compute

    if scores is not None:
        refuse_beside_from("--output")
        typer.echo(experiment.judge_again(scores, output).text)
        say(f"The tables are in {output}.")
        return
    if task is None:
        raise typer.BadParameter("give either --task-model or --from SCORES.csv.")
    selection = ImageSelection(require_data(data), tuple(sets or ()), split, (degradation,), limit, crop)
    with (
        interrupted(lambda: SAME_COMMAND),
        bar() as shown,
    ):
        found = experiment.judge(
            task,
            selection,
            output,
            model or ["iste-fast"],
            scale=scale,
            compute=Compute(device, precision),
            overwrite=overwrite,
            progress=shown.advance,
        )
    typer.echo(found.text)
    say(f"Scores of every image and the tables are in {output}.")
