"""The command line: verbs and their options, words and progress bars; the work is done in `workflows`."""

import logging
import math
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from histoscale.errors import HistoscaleError

if TYPE_CHECKING:
    from rich.console import Console

    from histoscale.workflows.upscale.batch import Job
    from histoscale.workflows.upscale.engine import Engine
    from histoscale.workflows.upscale.options import Options
    from histoscale.workflows.upscale.outcome import Failure, Outcome

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it: 128 + SIGINT."""


class Verbs(typer.core.TyperGroup):
    """Turns what is expected to go wrong into one sentence and an exit code, for every verb."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; anything but our own errors and Ctrl-C is a bug and may trace."""
        try:
            return super().invoke(ctx)
        except HistoscaleError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            complain("stopped; no half-written file is left.")
            raise typer.Exit(INTERRUPTED) from None


class PrecisionName(StrEnum):
    """`auto` is bf16 where the processor multiplies it natively, else fp32."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class SplitBy(StrEnum):
    """What stays in one part of a split: all of a slide, or each sub-image by itself."""

    slide = "slide"
    tile = "tile"


class LosslessFormat(StrEnum):
    """Of pictures to train on."""

    png = "png"
    webp = "webp"


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


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Arbitrary-scale super-resolution for H&E histopathology. Not for primary diagnosis.",
)


def main() -> None:
    """Entry point of the ``histoscale`` command."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its remarks on odd tags; errors still raise
    app()


def show_version(wanted: bool) -> bool:
    """Print the version and stop, if that is wanted."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"histoscale {version('histoscale')}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Arbitrary-scale super-resolution for H&E histopathology. Not for primary diagnosis."""


@app.command()
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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[
        PrecisionName, typer.Option(help="auto is bf16 where it is native.")
    ] = PrecisionName.auto,
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
        typer.Option(help="Slides: mask sends glass through bicubic, all does not; or a mask's path."),
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
    from histoscale.workflows.upscale.batch import plan_jobs
    from histoscale.workflows.upscale.engine import Engine
    from histoscale.workflows.upscale.options import Options
    from histoscale.workflows.upscale.target import Wish

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
    engine = Engine(model, device, precision.value, tile)
    jobs = plan_jobs(inputs, output)
    results = tell_results(jobs, options, engine, report)
    if len(jobs) > 1:
        say(f"{len(results) - failures(results)} of {len(jobs)} files written to {output}.")
    if failures(results):
        raise typer.Exit(1)


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A picture or a slide.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a file is: size, micrometres per pixel, power, levels, compression, profile."""
    from histoscale.workflows import inform

    description = inform.info(file)
    if as_json:
        typer.echo(inform.info_json(description))
        return
    for label, value in inform.info_rows(description):
        say(f"{label + ':':<13}{value}")


@app.command()
def models() -> None:
    """List the weights that ship: parameters, range, data, licence, metrics."""
    from histoscale.workflows.inform import ModelRow, metric_table, model_row, shipped_cards

    cards = shipped_cards()
    if not cards:
        raise HistoscaleError("This copy of the package ships no weights: give --model a .safetensors path.")
    show_table([[name.capitalize() for name in ModelRow._fields], *(model_row(card) for card in cards)])
    if len(gains := metric_table(cards)) > 1:
        show_table(gains)


@app.command()
def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="See runs/ for examples.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; out/NAME by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
) -> None:
    """Train a model as a run file says."""
    from histoscale.workflows.train import train as carry_out

    folder = output or Path("out") / run_file.stem
    try:
        with bar("training", " {task.fields[state]}") as shown:
            written = carry_out(
                run_file,
                folder,
                resume=resume,
                report=lambda progress, loss: shown.advance(
                    progress.share(), state=f"step {progress.step}, loss {loss:.4f}"
                ),
            )
    except KeyboardInterrupt:
        saved = (folder / "state.pt").exists()
        complain(
            "stopped; "
            + (
                "the run can be continued with --resume."
                if saved
                else "nothing to continue from was saved yet."
            )
        )
        raise typer.Exit(INTERRUPTED) from None
    say(f"Weights, curves and state are in {written.parent}: {written.name}.")


@app.command()
def evaluate(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Name or .safetensors path; may be repeated.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="HISTOSCALE_DATA", help="Manifest or its folder, folder of pictures, or picture."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "out/evaluation"
    ),
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Data set of the manifest; repeatable.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the manifest; empty for all.")] = "test",
    scale: Annotated[
        list[float] | None, typer.Option(help="May be repeated; the paper's by default.")
    ] = None,
    degradation: Annotated[list[str] | None, typer.Option(help="B, C, D or none; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images of a set.")] = None,
    crop: Annotated[int | None, typer.Option(min=1, help="Only the middle so many pixels a side.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[
        PrecisionName, typer.Option(help="auto is bf16 where it is native.")
    ] = PrecisionName.fp32,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread each.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
) -> None:
    """Score weights beside bicubic: PSNR and SSIM at any scale, two protocols, CSV, Markdown and JSON."""
    if data is None:
        raise typer.BadParameter("give --data, or set $HISTOSCALE_DATA.")
    from histoscale.workflows import evaluate as workflow

    with bar("evaluating") as shown:
        workflow.evaluate(
            model or ["iste-fast"],
            data,
            output,
            sets=sets or (),
            split=split,
            scales=scale or workflow.SCALES,
            degradations=degradation or ("B", "none"),
            limit=limit,
            crop_px=crop,
            precision=precision.value,
            device=device,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done, total: shown.advance(done / total),
        )
    typer.echo((output / "tables.md").read_text(encoding="utf-8"))


@app.command()
def tile(
    slides: Annotated[list[Path], typer.Argument(metavar="SLIDE", help="Slides or pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the sub-images.")],
    size: Annotated[
        int | None, typer.Option(min=8, help="Pixels of a sub-image's side; whole slides by default.")
    ] = None,
    tissue: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of tissue of a sub-image; 0 takes all.")
    ] = 0.5,
    split: Annotated[
        str, typer.Option(help="Train, val and test: numbers such as 320/40/40, or shares.")
    ] = "80%/10%/10%",
    split_by: Annotated[SplitBy, typer.Option(help="Keep slides apart, or only sub-images.")] = SplitBy.slide,
    random_crops: Annotated[
        int | None, typer.Option(min=1, help="So many at random from each slide, instead of a grid.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Reduce to these micrometres per pixel, such as 0.5.")
    ] = None,
    source_mpp: Annotated[
        float | None,
        typer.Option(help="Micrometres per pixel of the slides, where their metadata lack them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random places and the split.")] = 0,
    form: Annotated[LosslessFormat, typer.Option("--format", help="Both are lossless.")] = LosslessFormat.png,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Name of the data set; the folder's by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what `tile` wrote before.")] = False,
) -> None:
    """Cut slides into sub-images for training, with a manifest that run files and `evaluate` read."""
    if random_crops and not size:
        raise typer.BadParameter("--random-crops needs the --size of the crops.")
    if any(value is not None and not 0 < value < math.inf for value in (mpp, source_mpp)):
        raise typer.BadParameter("--mpp and --source-mpp are above 0.")
    from histoscale.workflows.tile.folder import Recipe, cut_slides
    from histoscale.workflows.tile.splits import parse_split

    name = set_name or output.resolve().name
    places = Recipe(
        parse_split(split),
        size,
        tissue,
        random_crops,
        split_by.value,
        mpp,
        source_mpp,
        seed,
        form.value,
        name,
    )
    with bar("") as shown:
        counts = cut_slides(
            slides,
            output,
            places,
            overwrite=overwrite,
            report=lambda what, done, total: shown.advance(done / total, description=what),
        )
    words = ", ".join(f"{count} for {part}" for part, count in counts.items())
    say(f"{sum(counts.values())} sub-images of {len(slides)} slides written to {output}: {words}.")


def tell_results(
    jobs: "Sequence[Job]", options: "Options", engine: "Engine", report: Path | None
) -> "list[Outcome | Failure]":
    """Upscale, tell what came of each file, and report slides, and pictures if that is wanted."""
    from histoscale.workflows.upscale.batch import upscale_files
    from histoscale.workflows.upscale.outcome import Failure
    from histoscale.workflows.upscale.slide_outcome import SlideOutcome

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
    from histoscale.workflows.upscale import report
    from histoscale.workflows.upscale.slide_outcome import Run

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
    from histoscale.workflows.upscale.outcome import Failure

    return sum(isinstance(result, Failure) for result in results)


@contextmanager
def resuming_told(jobs: "Sequence[Job]") -> Iterator[None]:
    """On Ctrl-C in the block, say how a slide can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        from histoscale.slides.tile_store import TileStore

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


def console(stderr: bool = False) -> "Console":
    """Where words go; rich is slow to import, so only when there are some."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; the first row is the heading."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    console().print(table)


def say(sentence: str) -> None:
    """A line on standard output, never wrapped, so that programs can read it."""
    typer.echo(sentence)


def complain(sentence: str, kind: str = "error") -> None:
    """A line on standard error."""
    colour = {"error": typer.colors.RED, "note": typer.colors.BLUE}.get(kind, typer.colors.YELLOW)
    typer.echo(f"{typer.style(f'{kind}:', fg=colour)} {sentence}", err=True)


class Bar:
    """A progress bar on standard error, where that is a terminal; it makes way for lines."""

    def __init__(self, title: str, extra: str = ""):
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        out = console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %" + extra),
        )
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal
        )
        self._task = self._progress.add_task(title, total=1.0, state="")

    def advance(self, share: float, **fields: Any) -> None:
        """Show the share done."""
        self._progress.start()
        self._progress.update(self._task, completed=share, **fields)

    def hide(self) -> None:
        """Vanish until the next `advance`."""
        self._progress.stop()


@contextmanager
def bar(title: str, extra: str = "") -> Iterator[Bar]:
    """A `Bar` that is gone afterwards, whatever happens."""
    shown = Bar(title, extra)
    try:
        yield shown
    finally:
        shown.hide()


if __name__ == "__main__":
    main()
