"""``histoscale import-weights``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say


def import_weights(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .pth file that the authors of a method published.")
    ],
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="METHOD",
            help="The method: `liif`, `lte`, `lmi`, `itsrn`, `lit`, `iste`, `edsr`, `rdn` or `swinir`.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write."),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Convert a checkpoint that the authors of a method published into weights for this package.

    The encoder and its sizes are read from the checkpoint.

    Examples:
        histoscale import-weights edsr_liif.pth --as liif -o liif.safetensors
        histoscale import-weights edsr_x4.pth --as edsr -o edsr-x4.safetensors
    """
    from histoscale.importing import importing

    card = importing.import_weights(checkpoint, name, output, overwrite=overwrite)
    unused = len(card.recipe["unused"])
    left = f"; {unused} tensors that the official model does not use were left out" if unused else ""
    arguments = ", ".join(f"{key} = {value}" for key, value in card.architecture.arguments.items())
    say(f"Written to {output}: {name} with {card.parameters} parameters, {arguments}{left}.")
