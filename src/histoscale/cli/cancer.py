"""``histoscale cancer``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import Device, Overrides, RunFolder


def cancer(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="See runs/cancer.toml.")],
    output: RunFolder = None,
    overrides: Overrides = None,
    tables_only: Annotated[
        bool,
        typer.Option("--tables-only", help="Make the tables of a finished run again, from its CSV files."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Train classifiers on original patches and test them on enlarged ones; started again, it goes on."""
    from histoscale.experiments.cancer import experiment
    from histoscale.experiments.cancer.report import overview
    from histoscale.experiments.cancer.results import TABLES

    folder = output or Path("out") / run_file.stem
    try:
        with bar("cancer") as shown:
            found = (
                experiment.tabulate(run_file, folder, overrides=overrides or ())
                if tables_only
                else experiment.cancer(
                    run_file,
                    folder,
                    overrides=overrides or (),
                    device=device,
                    progress=lambda what, share: shown.advance(share, description=what),
                )
            )
    except KeyboardInterrupt:
        complain("stopped; what is done is kept, and the same command goes on with it.")
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(overview(*found))
    say(f"Predictions, tables and tests are in {folder}; the whole account is {folder / TABLES}.")
