"""``histoscale upscale``."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import AllowResize, Device, Precision, PrecisionName

if TYPE_CHECKING:
    from histoscale.upscaling.engine import Engine
    from histoscale.upscaling.jobs import Job
    from histoscale.upscaling.options import Options
    from histoscale.upscaling.results import Failure, Outcome


class CompressionName(StrEnum):
    """What the tiles of a pyramid are compressed with."""

    jpeg = "jpeg"
    jpeg2000 = "jpeg2000"
    zstd = "zstd"
    deflate = "deflate"
    none = "none"


class LayoutName(StrEnum):
    """How an OME-TIFF holds its levels."""

    ome = "ome"
    openslide = "openslide"
    both = "both"


def upscale(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Pictures, slides or folders.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A file; a folder for several inputs, which keep their names."),
    ],
    scale: Annotated[float | None, typer.Option(help="Factor for both sides, such as 2.7.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Pixels of the output, such as 1500x900.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel of the output, such as 0.25.")
    ] = None,
    magnification: Annotated[
        float | None, typer.Option(help="Objective power that the output stands for, such as 40.")
    ] = None,
    source_mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel of the input, where its metadata lack them.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name (see `histoscale models`) or .safetensors path.")
    ] = "iste-fast",
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Side of a tile: in input pixels for pictures, in output pixels for slides (256, 512, ...); "
            "automatic by default.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.auto,
    allow_resize: AllowResize = False,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Of JPEG (95 by default, slides 90) and WebP (lossless by default)."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    skip_errors: Annotated[
        bool, typer.Option(help="Go on with the other files after one that failed.")
    ] = True,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,WIDTH,HEIGHT", help="Part of the input in pixels, or 50um in micrometres."),
    ] = None,
    roi: Annotated[Path | None, typer.Option(help="Polygons as GeoJSON, as QuPath writes it.")] = None,
    tissue: Annotated[
        str,
        typer.Option(
            help="Slides: mask sends glass through bicubic, all does not; or a mask or GeoJSON file."
        ),
    ] = "mask",
    compression: Annotated[
        CompressionName | None, typer.Option(help="Slides: jpeg by default, zstd of OME-Zarr.")
    ] = None,
    layout: Annotated[
        LayoutName, typer.Option(help="Slides: ome is the standard, openslide what OpenSlide reads.")
    ] = LayoutName.ome,
    max_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Slides: of all processes together, such as 1.5GiB.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Slides: processes; one for each core by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Slides: go on with what an interrupted run left.")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="local|ADDRESS", help="Slides: compute on a Dask scheduler.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of the HTML and JSON report; slides have one beside them."),
    ] = None,
) -> None:
    """Enlarge pictures and slides, with exactly one of --scale, --size, --mpp and --magnification.

    PNG, JPEG, TIFF and WebP in and out, told apart by the suffix of OUTPUT; a pyramid, tile by tile in
    bounded memory, where that is .ome.tiff, .ome.zarr or .dcm. Below a scale of 1 the input is reduced by
    antialiased bicubic, without a model. Micrometres per pixel are written where they are known.
    """
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
        skip_errors=skip_errors,
        region=region,
        roi=roi,
        tissue=tissue,
        compression=compression.value if compression else None,
        layout=layout.value,
        max_memory_bytes=parse_bytes(max_memory) if max_memory else None,
        workers=workers,
        resume=resume,
        cluster=cluster,
    )
    if report is not None:
        refuse_unwritable(report / "report.html")
    engine = Engine(model, device, precision.value, tile, allow_resize)
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
