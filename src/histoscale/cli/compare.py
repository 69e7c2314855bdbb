"""``histoscale compare``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.frechet import ExtractorChoice
from histoscale.cli.options import (
    AllowResize,
    Crop,
    Data,
    Device,
    Limit,
    Precision,
    PrecisionName,
    Sets,
    Split,
    Workers,
)


def compare(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[LABEL[#SEED]=]WEIGHTS",
            help="Name or .safetensors path; may be repeated. One label is one row: models of one scale "
            "each, or several seeds.",
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="table1, table2, table3, table4, table7 or table9: its scales; may be repeated."),
    ] = None,
    scale: Annotated[list[float] | None, typer.Option(help="May be repeated.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Label of the row that the others are tested against; the last one.")
    ] = None,
    data: Data = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "out/comparison"
    ),
    sets: Sets = None,
    split: Split = "test",
    degradation: Annotated[
        list[str] | None, typer.Option(help="B (by default), C, D or none; may be repeated.")
    ] = None,
    limit: Limit = None,
    crop: Crop = None,
    allow_resize: AllowResize = False,
    device: Device = "auto",
    precision: Precision = PrecisionName.fp32,
    workers: Workers = 1,
    extractor: Annotated[
        ExtractorChoice, typer.Option(help="Features of table3's Frechet distance; see `histoscale frechet`.")
    ] = ExtractorChoice.tissue,
    inception_weights: Annotated[
        Path | None, typer.Option(help="pytorch-fid's pt_inception-2015-12-05-6726825d.pth.")
    ] = None,
    patch: Annotated[
        int, typer.Option(min=1, help="Side of the patches that table3's Frechet distance is of.")
    ] = 96,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the scores in the folder; add models or scales.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
    scores: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="Make tables of these scores alone.")
    ] = None,
) -> None:
    """Compare methods at the scales of the paper's tables: PSNR, SSIM, paired tests, the paper's claims."""
    if resume and overwrite:
        raise typer.BadParameter("give --resume or --overwrite, not both.")
    from histoscale.experiments.compare import compare
    from histoscale.experiments.compare.paper_tables import find_presets
    from histoscale.experiments.compare.report import overview
    from histoscale.experiments.compare.results import ScoreFolder

    if scores is not None:
        unheard: dict[str, object] = {"--model": model, "--resume": resume, "--set": sets}
        unheard |= {"--split": split != "test", "--degradation": degradation, "--limit": limit}
        unheard |= {"--crop": crop, "--allow-resize": allow_resize, "--device": device != "auto"}
        unheard |= {"--precision": precision is not PrecisionName.fp32, "--workers": workers > 1}
        unheard |= {"--extractor": extractor is not ExtractorChoice.tissue}
        unheard |= {"--inception-weights": inception_weights, "--patch": patch != 96}
        if given := [name for name, choice in unheard.items() if choice]:
            raise typer.BadParameter(f"--from takes all from the scores: give no {' and no '.join(given)}.")
        presets = find_presets(preset or (), scale or ()) if preset or scale else ()
        found = compare.compare_again(scores, output, presets, reference=reference, overwrite=overwrite)
    elif data is None or not model:
        raise typer.BadParameter("give --model, and --data or $HISTOSCALE_DATA; or give --from.")
    else:
        try:
            with bar("comparing") as shown:
                found = compare.compare(
                    model,
                    data,
                    output,
                    find_presets(preset or ([] if scale else ["table1"]), scale or ()),
                    reference=reference,
                    sets=sets or (),
                    split=split,
                    degradations=degradation or ("B",),
                    limit=limit,
                    crop_px=crop,
                    allow_resize=allow_resize,
                    precision=precision.value,
                    device=device,
                    workers=workers,
                    resume=resume,
                    overwrite=overwrite,
                    extractor=extractor.value,
                    inception_weights=inception_weights,
                    patch_px=patch,
                    progress=lambda done, total: shown.advance(done / total),
                )
        except KeyboardInterrupt:
            if not ScoreFolder(output).is_unfinished:
                raise
            complain("stopped; the scores so far are kept, and --resume goes on with them.")
            raise typer.Exit(INTERRUPTED) from None
    typer.echo(overview(found))
    say(f"Scores, tables and tests are in {output}.")
