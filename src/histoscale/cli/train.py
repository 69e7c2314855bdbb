"""``histoscale train`` and ``histoscale evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import INTERRUPTED
from histoscale.cli.console import bar, complain, say
from histoscale.cli.options import (
    AllowResize,
    Crop,
    Data,
    Device,
    Limit,
    Overrides,
    Precision,
    PrecisionName,
    RunFolder,
    Sets,
    Split,
    Workers,
)


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="See runs/ for examples.")],
    output: RunFolder = None,
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
) -> None:
    """Train a model as a run file says."""
    from histoscale.config import read_run
    from histoscale.training.trainer import train as carry_out

    folder = output or Path("out") / read_run(run_file, overrides or ()).name
    try:
        with bar("training", " {task.fields[state]}") as shown:
            trained = carry_out(
                run_file,
                folder,
                overrides=overrides or (),
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
    written = trained.weights
    if trained.was_finished:
        say(f"The run in {written.parent} is finished already: {written.name} was left as it is.")
    else:
        say(f"Weights, curves and state are in {written.parent}: {written.name}.")


def evaluate(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Name or .safetensors path; may be repeated.")
    ] = None,
    data: Data = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "out/evaluation"
    ),
    sets: Sets = None,
    split: Split = "test",
    scale: Annotated[
        list[float] | None, typer.Option(help="May be repeated; the paper's by default.")
    ] = None,
    degradation: Annotated[list[str] | None, typer.Option(help="B, C, D or none; may be repeated.")] = None,
    limit: Limit = None,
    crop: Crop = None,
    allow_resize: AllowResize = False,
    device: Device = "auto",
    precision: Precision = PrecisionName.fp32,
    workers: Workers = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
) -> None:
    """Score weights beside bicubic: PSNR and SSIM at any scale, two protocols, CSV, Markdown and JSON."""
    if data is None:
        raise typer.BadParameter("give --data, or set $HISTOSCALE_DATA.")
    from histoscale.experiments import evaluate as workflow

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
            allow_resize=allow_resize,
            precision=precision.value,
            device=device,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done, total: shown.advance(done / total),
        )
    typer.echo((output / "tables.md").read_text(encoding="utf-8"))
