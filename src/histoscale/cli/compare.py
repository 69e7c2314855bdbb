"""``histoscale compare``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say
from histoscale.cli.options import (
    DATA,
    DISTANCE,
    MODEL,
    AllowResize,
    Crop,
    Data,
    Degradations,
    Device,
    Extractor,
    InceptionWeights,
    Latex,
    Limit,
    OutputFolder,
    Overwrite,
    Precision,
    Resume,
    Scales,
    Scores,
    Sets,
    Split,
    Workers,
    refuse_beside_from,
    refuse_both,
    scores_kept,
)


def compare(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[LABEL[#SEED]=]WEIGHTS",
            help="Model name or .safetensors file; repeatable. Files with the same label share a row: one "
            "for each scale, or one for each seed.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Scales of a table of the paper: `table1`, `table2`, `table3`, `table4`, `table7` or "
            "`table9`; repeatable.",
            rich_help_panel=DATA,
        ),
    ] = None,
    scale: Scales = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Row that the other rows are tested against. Default: the last row.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    data: Data = None,
    output: OutputFolder = Path("out/comparison"),
    sets: Sets = None,
    split: Split = "test",
    degradation: Degradations = None,
    limit: Limit = None,
    crop: Crop = None,
    allow_resize: AllowResize = False,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: Workers = 1,
    extractor: Extractor = "tissue",
    inception_weights: InceptionWeights = None,
    patch: Annotated[
        int,
        typer.Option(
            min=1, metavar="PX", help="Side of the patches that are compared.", rich_help_panel=DISTANCE
        ),
    ] = 96,
    resume: Resume = False,
    overwrite: Overwrite = False,
    scores: Scores = None,
    latex: Latex = False,
) -> None:
    """Compare methods as in the paper's tables, by PSNR, SSIM and paired significance tests.

    Without --preset and --scale, the scales are those of table1. Without --degradation, images are
    downsampled with B (blur).

    Examples:
        histoscale compare -m liif=liif.safetensors -m iste --preset table1
        histoscale compare --from out/comparison/scores.csv -o out/again
    """
    refuse_both("--resume", "--overwrite")
    from histoscale.experiments.compare import compare as experiment
    from histoscale.experiments.compare.features import FeatureChoice
    from histoscale.experiments.compare.paper_tables import find_presets
    from histoscale.experiments.compare.report import overview
    from histoscale.experiments.images import ImageSelection
    from histoscale.resources import Compute

    if scores is not None:
        refuse_beside_from("--preset", "--scale", "--reference", "--output", "--overwrite", "--latex")
        presets = find_presets(preset or (), scale or ()) if preset or scale else ()
        found = experiment.compare_again(scores, output, presets, reference=reference, overwrite=overwrite)
    elif data is None or not model:
        raise typer.BadParameter("give --model and --data (or set $HISTOSCALE_DATA), or give --from.")
    else:
        with interrupted(scores_kept(output)), bar() as shown:
            found = experiment.compare(
                model,
                ImageSelection(data, tuple(sets or ()), split, tuple(degradation or ("B",)), limit, crop),
                output,
                find_presets(preset or ([] if scale else ["table1"]), scale or ()),
                reference=reference,
                allow_resize=allow_resize,
                compute=Compute(device, precision, workers),
                features=FeatureChoice(extractor, inception_weights, patch),
                resume=resume,
                overwrite=overwrite,
                progress=shown.advance,
            )
    if latex:
        experiment.write_latex(found, output)
    typer.echo(overview(found))
    say(f"Scores, tables and tests are in {output}.")
