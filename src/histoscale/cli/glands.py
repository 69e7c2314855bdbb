"""``histoscale glands``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, say, show_table
from histoscale.cli.options import Overrides


def glands(
    run_file: Annotated[Path | None, typer.Argument(metavar="RUN.toml", help="See runs/glands.toml.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the results; out/ and the run file's name by default."
        ),
    ] = None,
    overrides: Overrides = None,
    workers: Annotated[
        int, typer.Option(min=1, help="U-Nets side by side, a thread each; 1 uses all threads.")
    ] = 2,
    scores: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="Make tables of these scores alone.")
    ] = None,
) -> None:
    """Segment glands on originals, bicubic and super-resolved images; started again, it goes on."""
    from histoscale.experiments.glands import experiment, report, statistics

    if run_file is not None and scores is None:
        folder = output or Path("out") / run_file.stem
        with bar("glands", " {task.fields[state]}") as shown:
            found = experiment.glands(
                run_file,
                folder,
                overrides=overrides or (),
                workers=workers,
                progress=lambda what, share: shown.advance(share, state=what),
            )
    elif scores is not None and run_file is None:
        folder = output or Path("out/glands-again")
        found = experiment.glands_again(scores, folder)
    else:
        raise typer.BadParameter("give RUN.toml, or --from with scores.")
    for part in statistics.parts_of(found):
        table = report.main_table(part)
        say(f"{table.caption}.")
        show_table([table.heads, *table.rows])
    say(f"Results are in {folder}.")
