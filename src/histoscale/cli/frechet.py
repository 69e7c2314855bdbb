"""``histoscale frechet``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say
from histoscale.cli.options import DISTANCE, Device, Extractor, InceptionWeights


def frechet(
    first: Annotated[
        Path, typer.Argument(metavar="FIRST", help="Folder of images, such as the ground truth.")
    ],
    second: Annotated[
        Path,
        typer.Argument(metavar="SECOND", help="Another folder, such as the same images super-resolved."),
    ],
    extractor: Extractor = "tissue",
    inception_weights: InceptionWeights = None,
    patch: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="PX",
            help="Side of the patches that are compared; 0 compares whole images.",
            rich_help_panel=DISTANCE,
        ),
    ] = 96,
    device: Device = "auto",
) -> None:
    """Measure the Frechet distance between two sets of images, such as originals and upscaled images.

    Examples:
        histoscale frechet originals/ upscaled/
        histoscale frechet originals/ upscaled/ --patch 0 --device cuda
    """
    from histoscale.experiments.frechet_distance import compare_folders, load_extractor
    from histoscale.resources import find_device

    loaded = load_extractor(extractor, inception_weights, find_device(device))
    say(compare_folders(first, second, loaded, patch or None).line())
