"""``histoscale cancer``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import (
    OUTPUT,
    SAME_COMMAND,
    AlwaysResume,
    Device,
    Overrides,
    Precision,
    RunFolder,
    refuse_beside_from,
)


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
            metavar="PREDICTIONS.csv",
            help="Make only the tables, from these predictions of a finished run.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    _resume: AlwaysResume = False,
    tables_only: Annotated[bool, typer.Option("--tables-only", hidden=True)] = False,
) -> None:
    """Train cancer classifiers on original patches, and test them on super-resolved patches.

    Examples:
        histoscale cancer runs/cancer.toml -o out/cancer
        histoscale cancer runs/cancer.toml --from out/cancer/predictions.csv
    """
    from histoscale.experiments.cancer import experiment
    from histoscale.experiments.cancer.predictions import STEM, TABLES
    from histoscale.experiments.cancer.tables import overview
    from histoscale.resources import Compute

    folder = output or Path("out") / run_file.stem
    if tables_only:
        finished = folder / f"{STEM}.csv"
        complain(f"--tables-only is now --from {finished}.", "note")
    elif finished is not None:
        refuse_beside_from("RUN.toml", "--set", "--output")
    if finished is not None:
        predictions = finished / f"{STEM}.csv" if finished.is_dir() else finished
        folder = output or predictions.parent
        found = experiment.cancer_again(run_file, predictions, folder, overrides=overrides or ())
    else:
        with interrupted(lambda: SAME_COMMAND), bar() as shown:
            found = experiment.cancer(
                run_file,
                folder,
                overrides=overrides or (),
                compute=Compute(device, precision),
                progress=shown.advance,
            )
    typer.echo(overview(*found))
    say(f"Tables and tests are in {folder}: {TABLES}.")
