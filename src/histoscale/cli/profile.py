"""``histoscale profile``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import bar, complain, say, show_table
from histoscale.cli.options import Device, Precision, PrecisionName


def profile(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="May be repeated; all models of any scale by default."),
    ] = None,
    encoder: Annotated[str, typer.Option(help="swinir as in Table 8, edsr or rdn.")] = "swinir",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the tables.")] = Path(
        "out/profile"
    ),
    device: Device = "auto",
    precision: Precision = PrecisionName.fp32,
    threads: Annotated[int, typer.Option(min=1, help="Of the processor.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every model; the best counts.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier tables.")] = False,
) -> None:
    """Measure parameters, peak memory and time of the models of any scale: the paper's Table 8."""
    from histoscale.experiments.profile import experiment, report

    with bar("profiling") as shown:
        found = experiment.profile(
            experiment.subjects(model or (), encoder),
            output,
            device=device,
            precision=precision.value,
            threads=threads,
            rounds=rounds,
            overwrite=overwrite,
            progress=lambda done, total: shown.advance(done / total),
        )
    for title, rows in report.tables(found):
        say(title)
        show_table(rows)
    for row in found.rows:
        for query, reason in row.failures:
            complain(f"{row.model}, {report.label(query)}: {reason}", "warning")
