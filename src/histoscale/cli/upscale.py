"""``histoscale upscale``."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import COMPUTE, MODEL, OUTPUT, AllowResize, Device, Precision

if TYPE_CHECKING:
    from histoscale.upscaling.engine import Engine
    from histoscale.upscaling.jobs import Job
    from histoscale.upscaling.options import Options
    from histoscale.upscaling.results import Failure, Outcome

SIZE, SLIDES = "Size (give one of --scale, --size, --mpp and --magnification)", "Slides"


def upscale(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, slides or folders.")],
    *,
    scale: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", help="Factor for both sides, such as 2.7.", rich_help_panel=SIZE),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT", help="Pixels of the output, such as 1500x900.", rich_help_panel=SIZE
        ),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM", help="Micrometres per pixel of the output, such as 0.25.", rich_help_panel=SIZE
        ),
    ] = None,
    magnification: Annotated[
        float | None,
        typer.Option(
            metavar="POWER", help="Objective power of the output, such as 40.", rich_help_panel=SIZE
        ),
    ] = None,
    source_mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            help="Micrometres per pixel of the input, if its metadata lack them or are wrong.",
            rich_help_panel=SIZE,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Upscale only this region: left, top, width and height in level-0 pixels, or in micrometres "
            "with the suffix um.",
            rich_help_panel=SIZE,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="Model name (`histoscale models` lists them) or .safetensors file.",
            rich_help_panel=MODEL,
        ),
    ] = "iste-fast",
    allow_resize: AllowResize = False,
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PX",
            help="Side of a tile: input pixels for images, output pixels (256, 512, ...) for slides. "
            "Default: chosen by memory.",
            rich_help_panel=COMPUTE,
        ),
    ] = None,
    tissue: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="Where to run the model: `mask` (detected tissue; background is interpolated), `all`, or a "
            "mask image or GeoJSON file.",
            rich_help_panel=SLIDES,
        ),
    ] = "mask",
    roi: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Upscale only the polygons of this GeoJSON file, as QuPath writes it.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    compression: Annotated[
        Literal["jpeg", "jpeg2000", "zstd", "deflate", "none"] | None,
        typer.Option(
            metavar="NAME",
            help="`jpeg`, `jpeg2000`, `zstd`, `deflate` or `none`. Default: `jpeg`; `zstd` for OME-Zarr.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    layout: Annotated[
        Literal["ome", "openslide", "both"],
        typer.Option(
            metavar="NAME",
            help="Levels of an OME-TIFF: `ome` (the standard), `openslide` (what OpenSlide reads) or `both`.",
            rich_help_panel=SLIDES,
        ),
    ] = "ome",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of processes. Default: one for each core.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit for all processes together, such as 1.5GiB.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on the Dask scheduler at this address; `local` starts one.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume an interrupted run.", rich_help_panel=SLIDES),
    ] = False,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write. For several inputs: a folder, where files keep their names.",
            rich_help_panel=OUTPUT,
        ),
    ],
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="N",
            help="Quality of JPEG (default: 95, slides 90) and WebP (default: lossless).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for the HTML and JSON report. Default: beside each slide.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=OUTPUT)
    ] = False,
    stop_at_error: Annotated[
        bool,
        typer.Option("--no-skip-errors", help="Stop at the first file that fails.", rich_help_panel=OUTPUT),
    ] = False,
    skip_errors: Annotated[bool, typer.Option("--skip-errors", hidden=True)] = False,
) -> None:
    """Upscale images and slides to any scale, size or resolution.

    The suffix of the output decides the format. PNG, JPEG, TIFF and WebP hold an image; .ome.tiff, .ome.zarr
    and .dcm hold a slide, which is computed tile by tile in bounded memory. A scale below 1 downsamples
    without a model. Micrometres per pixel are recorded if they are known.

    Examples:
        histoscale upscale biopsy.png --scale 2.7 -o biopsy-x2.7.png
        histoscale upscale slide.svs --mpp 0.25 -o slide.ome.tiff
    """
    if skip_errors:
        complain("--skip-errors is the default and can be left out.", "note")
    if sum(wish is not None for wish in (scale, size, mpp, magnification)) != 1:
        raise typer.BadParameter("give exactly one of --scale, --size, --mpp and --magnification.")
    size_xy = parse_size(size) if size else None
    from histoscale.files import refuse_unwritable
    from histoscale.upscaling.engine import Engine
    from histoscale.upscaling.geometry import Wish
    from histoscale.upscaling.jobs import plan_jobs
    from histoscale.upscaling.options import Options

    options = Options(
        Wish(scale=scale, size_xy=size_xy, mpp=mpp, magnification=magnification),
        source_mpp=source_mpp,
        quality=quality,
        overwrite=overwrite,
        skip_errors=not stop_at_error,
        region=region,
        roi=roi,
        tissue=tissue,
        compression=compression,
        layout=layout,
        max_memory_bytes=parse_bytes(max_memory) if max_memory else None,
        workers=workers,
        resume=resume,
        cluster=cluster,
    )
    if report is not None:
        refuse_unwritable(report / "report.html")
    engine = Engine(model, device, precision, tile, allow_resize)
    jobs = plan_jobs(inputs, output)
    results = tell_results(jobs, options, engine, report)
    if len(jobs) > 1:
        say(f"{len(results) - failures(results)} of {len(jobs)} files written to {output}.")
    if failures(results):
        raise typer.Exit(1)


def tell_results(
    jobs: "Sequence[Job]", options: "Options", engine: "Engine", report: Path | None
) -> "list[Outcome | Failure]":
    """Upscale, tell what came of each file, and report slides, and pictures if that is wanted."""
    from histoscale.upscaling.jobs import upscale_files
    from histoscale.upscaling.results import Failure, SlideOutcome

    started, results = datetime.now().astimezone(), []
    with bar("") as shown, resuming_told(jobs):

        def advance(file: Path, done: int, total: int) -> None:
            shown.advance(done / total, description=file.name)

        def announce(file: Path, sentence: str) -> None:
            shown.hide()
            complain(f"{file.name}: {sentence}.", "note")

        for result in upscale_files(jobs, options, engine, advance, announce):
            shown.hide()
            results.append(result)
            if isinstance(result, Failure):
                if result.was_tried:
                    complain(result.sentence)
                continue
            for remark in result.remarks:
                complain(f"{result.source.name}: {remark}.", "warning")
            say(result.line())
    if report is not None or any(isinstance(result, SlideOutcome) for result in results):
        write_report(report, jobs, results, started)
    return results


def write_report(
    folder: Path | None, jobs: "Sequence[Job]", results: "Sequence[Outcome | Failure]", started: datetime
) -> None:
    """The record and the page of a run, and where they are."""
    from histoscale.upscaling import report
    from histoscale.upscaling.results import Run

    run = Run(
        shlex.join(["histoscale", *sys.argv[1:]]),
        started,
        (datetime.now().astimezone() - started).total_seconds(),
    )
    stem = report.report_stem([job.target for job in jobs], folder, started)
    page, _ = report.write_report(stem, results, run)
    say(f"Report: {page}.")


def failures(results: "Sequence[Outcome | Failure]") -> int:
    """How many files were not written."""
    from histoscale.upscaling.results import Failure

    return sum(isinstance(result, Failure) for result in results)


@contextmanager
def resuming_told(jobs: "Sequence[Job]") -> Iterator[None]:
    """On Ctrl-C in the block, say how a slide can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        from histoscale.io.tile_store import TileStore

        if not any(TileStore.beside(job.target).exists for job in jobs):
            raise
        complain("stopped; what is finished stays beside the output, and --resume goes on with it.")
        raise typer.Exit(INTERRUPTED) from None


def parse_bytes(text: str) -> int:
    """``1.5GiB`` or ``800MB`` to bytes.

    Raises:
        typer.BadParameter: if it is not of that form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt])(i?)b?", text.strip().lower())
    if not found:
        raise typer.BadParameter(f"--max-memory is a size such as 1.5GiB or 800MiB, got {text}.")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** (1 + "kmgt".index(found[2])))


def parse_size(text: str) -> tuple[int, int]:
    """``1500x900`` to (width, height).

    Raises:
        typer.BadParameter: if it is not of that form.
    """
    found = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", text.strip())
    if not found:
        raise typer.BadParameter(f"--size is WIDTHxHEIGHT in pixels, such as 1500x900, got {text}.")
    return int(found[1]), int(found[2])
