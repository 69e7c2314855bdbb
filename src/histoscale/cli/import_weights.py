"""``histoscale import-weights``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say


def import_weights(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .pth file of its authors.")],
    name: Annotated[str, typer.Option("--as", help="liif, lte, lmi, itsrn, lit, iste, edsr, rdn or swinir.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.safetensors", help="Where to.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
) -> None:
    """Take over weights that the authors of a method published; encoder and sizes are found in the file."""
    from histoscale.importing.importing import import_weights as carry_out

    card = carry_out(checkpoint, name, output, overwrite=overwrite)
    unused = len(card.recipe["unused"])
    left = f"; {unused} tensors that the official model does not use were left out" if unused else ""
    arguments = ", ".join(f"{key} = {value}" for key, value in card.architecture.arguments.items())
    say(f"Written to {output}: {name} with {card.parameters} parameters, {arguments}{left}.")
