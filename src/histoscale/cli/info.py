"""``histoscale info``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Image or slide.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Describe an image or slide: size, micrometres per pixel, power, levels, compression.

    Examples:
        histoscale info slide.svs
        histoscale info slide.svs --json
    """
    from histoscale import info

    description = info.info(file)
    if as_json:
        typer.echo(info.info_json(description))
        return
    for label, value in info.info_rows(description):
        say(f"{label + ':':<13}{value}")
