"""``histoscale profile``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, complain, say, show_table
from histoscale.cli.options import COMPUTE, MODEL, Device, OutputFolder, Overwrite, Precision


def profile(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="METHOD",
            help="Arbitrary-scale method; repeatable. Default: all.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="`swinir` (as in Table 8), `edsr` or `rdn`.", rich_help_panel=MODEL
        ),
    ] = "swinir",
    output: OutputFolder = Path("out/profile"),
    device: Device = "auto",
    precision: Precision = "fp32",
    threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of processor threads.", rich_help_panel=COMPUTE)
    ] = 1,
    repetitions: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of repetitions per model; the fastest is reported.",
            rich_help_panel=COMPUTE,
        ),
    ] = 2,
    overwrite: Overwrite = False,
    rounds: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Measure the parameters, peak memory and time of arbitrary-scale methods (Table 8 of the paper).

    Examples:
        histoscale profile
        histoscale profile -m liif -m iste --encoder edsr --device cuda
    """
    if rounds is not None:
        complain("--rounds is now --repetitions.", "note")
        repetitions = rounds
    from histoscale.experiments.profile import experiment, report
    from histoscale.resources import Compute

    with bar() as shown:
        found = experiment.profile(
            experiment.subjects(model or (), encoder),
            output,
            compute=Compute(device, precision, threads=threads),
            repetitions=repetitions,
            overwrite=overwrite,
            progress=shown.advance,
        )
    for table in report.tables(found):
        say(table.caption)
        show_table(table.texts())
    for costs in found.models:
        for query, reason in costs.failures:
            complain(f"{costs.name}, {report.label(query)}: {reason}", "warning")
