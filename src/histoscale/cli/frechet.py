"""``histoscale frechet``: how far two sets of pictures are apart."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.console import say
from histoscale.cli.options import Device


class ExtractorChoice(StrEnum):
    """`tissue` ships; `inception` is FID's and wants its weights."""

    tissue = "tissue"
    inception = "inception"


def frechet(
    first: Annotated[Path, typer.Argument(help="Folder of pictures, such as the originals.")],
    second: Annotated[Path, typer.Argument(help="Another, such as what a model made of them.")],
    extractor: Annotated[
        ExtractorChoice, typer.Option(help="tissue: ours, ships. inception: FID's, wants its weights.")
    ] = ExtractorChoice.tissue,
    inception_weights: Annotated[
        Path | None, typer.Option(help="pytorch-fid's pt_inception-2015-12-05-6726825d.pth.")
    ] = None,
    patch: Annotated[int, typer.Option(min=0, help="Side of the patches; 0 for whole pictures.")] = 96,
    device: Device = "auto",
) -> None:
    """Say how far apart two sets of pictures are: Frechet distance of their features."""
    from histoscale.experiments.frechet_distance import compare_folders, load_extractor
    from histoscale.resources import find_device

    loaded = load_extractor(extractor.value, inception_weights, find_device(device))
    say(compare_folders(first, second, loaded, patch or None).line())
