"""``histoscale glands``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say, show_table
from histoscale.cli.options import (
    COMPUTE,
    SAME_COMMAND,
    AlwaysResume,
    Device,
    Latex,
    Overrides,
    Precision,
    RunFolder,
    Scores,
    refuse_beside_from,
)


def glands(
    run_file: Annotated[
        Path | None,
        typer.Argument(metavar="RUN.toml", help="Run file; `runs/glands.toml` is an example."),
    ] = None,
    output: RunFolder = None,
    overrides: Overrides = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of U-Nets trained at the same time, with one thread each; 1 uses all threads.",
            rich_help_panel=COMPUTE,
        ),
    ] = 2,
    device: Device = "auto",
    precision: Precision = "auto",
    scores: Scores = None,
    latex: Latex = False,
    _resume: AlwaysResume = False,
) -> None:
    """Train and test U-Nets that segment glands, on original, bicubic and super-resolved images.

    Examples:
        histoscale glands runs/glands.toml --workers 2
        histoscale glands --from out/glands/scores.csv -o out/again
    """
    from histoscale.experiments.glands import experiment, statistics, tables
    from histoscale.resources import Compute

    if scores is not None:
        refuse_beside_from("--output", "--latex")
        folder = output or Path("out/glands-again")
        found = experiment.glands_again(scores, folder)
    elif run_file is None:
        raise typer.BadParameter("give either RUN.toml or --from SCORES.csv.")
    else:
        folder = output or Path("out") / run_file.stem
        with interrupted(lambda: SAME_COMMAND), bar() as shown:
            found = experiment.glands(
                run_file,
                folder,
                overrides=overrides or (),
                compute=Compute(device, precision, workers),
                progress=shown.advance,
            )
    if latex:
        experiment.write_latex(found, folder)
    for part in statistics.parts_of(found):
        table = tables.main_table(part)
        say(f"{table.caption}.")
        show_table(table.texts())
    say(f"Results are in {folder}.")
