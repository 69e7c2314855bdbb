"""``histoscale info`` and ``histoscale models``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say, show_table
from histoscale.errors import HistoscaleError


def info(
    file: Annotated[Path, typer.Argument(help="A picture or a slide.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a file is: size, micrometres per pixel, power, levels, compression, profile."""
    from histoscale import info

    description = info.info(file)
    if as_json:
        typer.echo(info.info_json(description))
        return
    for label, value in info.info_rows(description):
        say(f"{label + ':':<13}{value}")


def models() -> None:
    """List the weights that ship: parameters, range, data, licence, metrics."""
    from histoscale.info import ModelRow, metric_table, model_row, shipped_cards

    cards = shipped_cards()
    if not cards:
        raise HistoscaleError("This copy of the package ships no weights: give --model a .safetensors path.")
    show_table([[name.capitalize() for name in ModelRow._fields], *(model_row(card) for card in cards)])
    if len(gains := metric_table(cards)) > 1:
        show_table(gains)
