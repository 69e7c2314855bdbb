"""``histoscale study``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say
from histoscale.cli.options import COMPUTE, SAME_COMMAND, AlwaysResume, Overrides, RunFolder, refuse_both

BUDGET = "Budget"


def study(
    study_file: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="Study file; `runs/study.toml` is an example.")
    ],
    output: RunFolder = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE.toml",
            help="Train with this recipe instead of the study's; see `runs/recipe-gpu.toml`.",
        ),
    ] = None,
    overrides: Overrides = None,
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes-per-model",
            min=0,
            metavar="N",
            help="Processor minutes for each method. Default: as in the study file.",
            rich_help_panel=BUDGET,
            show_default=False,
        ),
    ] = 0.0,
    steps: Annotated[
        int,
        typer.Option(
            "--steps-per-model",
            min=0,
            metavar="N",
            help="Training steps for each method, instead of minutes.",
            rich_help_panel=BUDGET,
            show_default=False,
        ),
    ] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Train and compare only this method; repeatable."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Number of models trained at the same time.", rich_help_panel=COMPUTE
        ),
    ] = 1,
    _resume: AlwaysResume = False,
) -> None:
    """Train several methods with one recipe and one budget, and compare them.

    Examples:
        histoscale study runs/study.toml --minutes-per-model 10 --workers 2
        histoscale study runs/study.toml --steps-per-model 500 --only iste
    """
    refuse_both("--minutes-per-model", "--steps-per-model")
    from histoscale.experiments.compare.report import overview
    from histoscale.experiments.study import study as experiment

    folder = output or Path("out") / study_file.stem
    with (
        interrupted(lambda: SAME_COMMAND),
        bar() as shown,
    ):
        found = experiment.study(
            study_file,
            folder,
            recipe=recipe,
            overrides=overrides or (),
            minutes=minutes,
            steps=steps,
            only=only or (),
            workers=workers,
            report=lambda name, left: say(f"{name} is trained; {left} left."),
            progress=shown.advance,
        )
    typer.echo(overview(found))
    say(f"Scores, tables and tests are in a folder of {folder / experiment.COMPARISON}.")
