"""``histoscale study``: many methods trained under one recipe."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, say
from histoscale.cli.options import Overrides


def study(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="See runs/study.toml.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the study; out/NAME by default.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE.toml", help="Train by this recipe instead, see runs/recipe-gpu.toml."),
    ] = None,
    overrides: Overrides = None,
    minutes: Annotated[
        float, typer.Option("--minutes-per-model", min=0, help="Processor time; the study's own by default.")
    ] = 0.0,
    steps: Annotated[
        int, typer.Option("--steps-per-model", min=0, help="Steps of each training instead of minutes.")
    ] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Label of a method; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings side by side.")] = 1,
) -> None:
    """Train methods by one recipe and budget and compare them; started again, it goes on."""
    if minutes and steps:
        raise typer.BadParameter("give --minutes-per-model or --steps-per-model, not both.")
    from histoscale.experiments.compare.report import overview
    from histoscale.experiments.study.study import COMPARISON
    from histoscale.experiments.study.study import study as carry_out

    folder = output or Path("out") / study_file.stem
    with bar("comparing") as shown:
        found = carry_out(
            study_file,
            folder,
            recipe=recipe,
            overrides=overrides or (),
            minutes=minutes,
            steps=steps,
            only=only or (),
            workers=workers,
            report=lambda name, left: say(f"{name} has ended, {left} still to do."),
            progress=lambda done, total: shown.advance(done / total),
        )
    typer.echo(overview(found))
    say(f"Scores, tables and tests are in a folder of {folder / COMPARISON}.")
