"""``histoscale glands``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say, show_table
from histoscale.cli.options import COMPUTE, AlwaysResume, Overrides, RunFolder, Scores


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
            help="U-Nets trained at the same time, with one thread each; 1 uses all threads.",
            rich_help_panel=COMPUTE,
        ),
    ] = 2,
    scores: Scores = None,
    latex: Annotated[bool, typer.Option("--latex", help="Write the tables in LaTeX as well.")] = False,
    _resume: AlwaysResume = False,
) -> None:
    """Train U-Nets to segment glands, on original, bicubic and super-resolved images.

    Examples:
        histoscale glands runs/glands.toml --workers 2
        histoscale glands --from out/glands/scores.csv -o out/again
    """
    from histoscale.experiments.glands import experiment, statistics, tables
    from histoscale.resources import Compute

    if run_file is not None and scores is None:
        folder = output or Path("out") / run_file.stem
        with (
            interrupted(lambda: "finished parts are kept; resume with the same command."),
            bar() as shown,
        ):
            found = experiment.glands(
                run_file,
                folder,
                overrides=overrides or (),
                compute=Compute(workers=workers),
                progress=shown.advance,
            )
    elif scores is not None and run_file is None:
        folder = output or Path("out/glands-again")
        found = experiment.glands_again(scores, folder)
    else:
        raise typer.BadParameter("give either RUN.toml or --from SCORES.csv.")
    if latex:
        experiment.write_latex(found, folder)
    for part in statistics.parts_of(found):
        table = tables.main_table(part)
        say(f"{table.caption}.")
        show_table(table.texts())
    say(f"Results are in {folder}.")
