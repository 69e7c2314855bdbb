"""``histoscale upscale``."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, complain, report_error, say
from histoscale.cli.options import COMPUTE, MODEL, OUTPUT, AllowResize, Device, Precision
from histoscale.errors import UnexpectedError
from histoscale.io.writers.choices import Compression, Layout
from histoscale.upscaling.options import Options

if TYPE_CHECKING:
    from histoscale.upscaling.jobs import Job
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
    ] = Options.model,
    allow_resize: AllowResize = False,
    device: Device = Options.device,
    precision: Precision = Options.precision,
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
    ] = Options.tissue,
    roi: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Upscale only the polygons of this GeoJSON file, as QuPath writes it.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    compression: Annotated[
        Compression | None,
        typer.Option(
            metavar="NAME",
            help="`jpeg`, `jpeg2000`, `zstd`, `deflate` or `none`. Default: `jpeg`; `zstd` for OME-Zarr.",
            rich_help_panel=SLIDES,
        ),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(
            metavar="NAME",
            help="Levels of an OME-TIFF: `ome` (the standard), `openslide` (what OpenSlide reads) or `both`.",
            rich_help_panel=SLIDES,
        ),
    ] = Options.layout,
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
        str,  # a Path would lose the slash that makes it a folder
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write, or a folder, where files keep their names. A new folder ends in a slash; "
            "several inputs always go to a folder.",
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
    if sum(given is not None for given in (scale, size, mpp, magnification)) != 1:
        raise typer.BadParameter("give exactly one of --scale, --size, --mpp and --magnification.")
    from histoscale.files import refuse_unwritable
    from histoscale.upscaling.jobs import plan_jobs

    options = Options(
        scale=scale,
        size_xy=parse_size(size) if size else None,
        mpp=mpp,
        magnification=magnification,
        source_mpp=source_mpp,
        region=region,
        roi=roi,
        model=model,
        allow_resize=allow_resize,
        device=device,
        precision=precision,
        tile_px=tile,
        tissue=tissue,
        compression=compression,
        layout=layout,
        workers=workers,
        max_memory_bytes=parse_bytes(max_memory) if max_memory else None,
        cluster=cluster,
        resume=resume,
        quality=quality,
        overwrite=overwrite,
        skip_errors=not stop_at_error,
    )
    if report is not None:
        refuse_unwritable(report / "report.html")
    jobs = plan_jobs(inputs, output)
    if not overwrite:
        refuse_existing_report(jobs, report)
    results = show_results(jobs, options, report)
    if len(jobs) > 1:
        say(f"{len(results) - failures(results)} of {len(jobs)} files written to {output}.")
    if failures(results):
        raise typer.Exit(1)


def show_results(jobs: "Sequence[Job]", options: Options, report: Path | None) -> "list[Outcome | Failure]":
    """Upscale every file, print a line for each, and write the report: of slides always, else on request."""
    from histoscale.upscaling.jobs import upscale_files
    from histoscale.upscaling.results import Failure, SlideOutcome

    started, results = datetime.now().astimezone(), []
    with interrupted(lambda: how_to_resume(jobs)), bar() as shown:

        def advance(file: Path, done: int, total: int) -> None:
            shown.advance(done / total, file.name)

        def announce(file: Path, sentence: str) -> None:
            shown.hide()
            complain(f"{file.name}: {sentence}.", "note")

        for result in upscale_files(jobs, options, advance, announce):
            shown.hide()
            results.append(result)
            if isinstance(result, Failure):
                if result.was_tried:
                    report_error(UnexpectedError(result.sentence, result.trace))
                continue
            for remark in result.remarks:
                complain(f"{result.source.name}: {remark}.", "warning")
            say(result.line())
    if report is not None or any(isinstance(result, SlideOutcome) for result in results):
        write_report(report, jobs, results, started, options.overwrite)
    return results


def refuse_existing_report(jobs: "Sequence[Job]", folder: Path | None) -> None:
    """Refuse a file under the name of the report beside a single slide; other reports are named by the time.

    Raises:
        OutputError: if there is one, and the slide is still to be written.
    """
    from histoscale.files import refuse_existing
    from histoscale.io.writers.formats import is_slide_target
    from histoscale.upscaling.report import report_paths, report_stem

    targets = [job.target for job in jobs]
    is_beside = folder is None and len(targets) == 1 and is_slide_target(targets[0])
    if is_beside and not os.path.lexists(targets[0]):
        refuse_existing(*report_paths(report_stem(targets, None, datetime.now().astimezone())))


def write_report(
    folder: Path | None,
    jobs: "Sequence[Job]",
    results: "Sequence[Outcome | Failure]",
    started: datetime,
    overwrite: bool,
) -> None:
    """Write the report of a run, and print its path."""
    from histoscale.upscaling import report
    from histoscale.upscaling.results import Invocation

    run = Invocation(
        shlex.join(["histoscale", *sys.argv[1:]]),
        started,
        (datetime.now().astimezone() - started).total_seconds(),
    )
    stem = report.report_stem([job.target for job in jobs], folder, started)
    page, _ = report.write_report(stem, results, run, overwrite=overwrite)
    say(f"Report: {page}.")


def failures(results: "Sequence[Outcome | Failure]") -> int:
    """How many files were not written."""
    from histoscale.upscaling.results import Failure

    return sum(isinstance(result, Failure) for result in results)


def how_to_resume(jobs: "Sequence[Job]") -> str | None:
    """What to do after Ctrl-C; None if no slide was begun."""
    from histoscale.io.tile_store import TileStore

    if any(TileStore.beside(job.target).exists for job in jobs):
        return "finished tiles are kept beside the output; resume with --resume."
    return None


def parse_bytes(text: str) -> int:
    """``1.5GiB`` or ``800MB`` to bytes.

    Raises:
        typer.BadParameter: if the text has another form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt])(i?)b?", text.strip().lower())
    if not found:
        raise typer.BadParameter(f"--max-memory must be a size such as 1.5GiB or 800MiB, but is {text}.")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** (1 + "kmgt".index(found[2])))


def parse_size(text: str) -> tuple[int, int]:
    """``1500x900`` to (width, height).

    Raises:
        typer.BadParameter: if the text has another form.
    """
    found = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", text.strip())
    if not found:
        raise typer.BadParameter(f"--size must be WIDTHxHEIGHT in pixels, such as 1500x900, but is {text}.")
    return int(found[1]), int(found[2])
