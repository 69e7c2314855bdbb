"""``histoscale cancer``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import OUTPUT, AlwaysResume, Device, Overrides, RunFolder


def cancer(
    run_file: Annotated[
        Path, typer.Argument(metavar="RUN.toml", help="Run file; `runs/cancer.toml` is an example.")
    ],
    output: RunFolder = None,
    overrides: Overrides = None,
    finished: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Make only the tables, from the CSV files of the finished run in this folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    device: Device = "auto",
    _resume: AlwaysResume = False,
    tables_only: Annotated[bool, typer.Option("--tables-only", hidden=True)] = False,
) -> None:
    """Train cancer classifiers on original patches and test them on super-resolved ones.

    Examples:
        histoscale cancer runs/cancer.toml -o out/cancer
        histoscale cancer runs/cancer.toml --from out/cancer
    """
    from histoscale.experiments.cancer import experiment
    from histoscale.experiments.cancer.predictions import STEM, TABLES
    from histoscale.experiments.cancer.tables import overview
    from histoscale.resources import Compute

    folder = output or Path("out") / run_file.stem
    if tables_only:
        complain(f"--tables-only is now --from {folder}.", "note")
        finished = folder
    if finished is not None:
        if output not in {None, finished}:
            raise typer.BadParameter("--from writes the tables into its folder: leave out --output.")
        folder = finished
    with (
        interrupted(lambda: "finished parts are kept; resume with the same command."),
        bar() as shown,
    ):
        if finished is not None:
            predictions = folder / f"{STEM}.csv"
            found = experiment.cancer_again(run_file, predictions, folder, overrides=overrides or ())
        else:
            found = experiment.cancer(
                run_file,
                folder,
                overrides=overrides or (),
                compute=Compute(device),
                progress=shown.advance,
            )
    typer.echo(overview(*found))
    say(f"Predictions, tables and tests are in {folder}; the summary is {folder / TABLES}.")
