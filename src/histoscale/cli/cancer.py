"""``histoscale cancer``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.options import Device, RunFolder
from histoscale.cli.verbs import INTERRUPTED
from histoscale.cli.words import bar, complain, say


def cancer(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="See runs/cancer.toml.")],
    output: RunFolder = None,
    tables_only: Annotated[
        bool,
        typer.Option("--tables-only", help="Make the tables of a finished run again, from its CSV files."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Train classifiers on original patches and test them on enlarged ones; started again, it goes on."""
    from histoscale.workflows.cancer import carry_out
    from histoscale.workflows.cancer.markdown import overview
    from histoscale.workflows.cancer.run_folder import TABLES

    folder = output or Path("out") / run_file.stem
    try:
        with bar("cancer") as shown:
            found = (
                carry_out.tabulate(run_file, folder)
                if tables_only
                else carry_out.cancer(
                    run_file,
                    folder,
                    device=device,
                    progress=lambda what, share: shown.advance(share, description=what),
                )
            )
    except KeyboardInterrupt:
        complain("stopped; what is done is kept, and the same command goes on with it.")
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(overview(*found))
    say(f"Predictions, tables and tests are in {folder}; the whole account is {folder / TABLES}.")
