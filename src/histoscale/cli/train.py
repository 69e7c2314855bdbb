"""``histoscale train``."""

from pathlib import Path
from typing import Annotated

import typer

from histoscale.cli.app import interrupted
from histoscale.cli.console import bar, say
from histoscale.cli.options import Overrides, Resume, RunFolder


def train(
    run_file: Annotated[
        Path, typer.Argument(metavar="RUN.toml", help="Run file; see the folder `runs/` for examples.")
    ],
    output: RunFolder = None,
    overrides: Overrides = None,
    resume: Resume = False,
) -> None:
    """Train a model as a run file describes it.

    Examples:
        histoscale train runs/iste-fast.toml
        histoscale train runs/iste-fast.toml -o out/iste-fast --resume
    """
    from histoscale.config import read_run
    from histoscale.training import trainer

    folder = output or Path("out") / read_run(run_file, overrides or ()).name

    def what_is_kept() -> str:
        saved = (folder / "state.pt").exists()
        return "resume the run with --resume." if saved else "no state was saved yet, so start the run again."

    with interrupted(what_is_kept), bar() as shown:
        trained = trainer.train(
            run_file,
            folder,
            overrides=overrides or (),
            resume=resume,
            report=lambda progress, loss: shown.advance(
                progress.share(), f"training, step {progress.step}, loss {loss:.4f}"
            ),
        )
    written = trained.weights
    if trained.was_finished:
        say(f"The run in {written.parent} is finished already: {written.name} was left as it is.")
        return
    say(f"Weights, curves and state are in {written.parent}: {written.name}.")
