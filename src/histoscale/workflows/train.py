"""``histoscale train RUN.toml``: Eq. 1, or a method's own loss, by Adam, on one processor or many."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

from histoscale.config import read_run
from histoscale.errors import OutputError
from histoscale.training.curves import read_metrics
from histoscale.training.interruption import stopping_politely
from histoscale.training.provenance import record_origin
from histoscale.training.trainer import Report, Trainer
from histoscale.workflows.result_files import alone_in, writing


def train(run_file: Path, output: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Carry out a run file.

    Args:
        run_file: TOML, see `histoscale.config.Run`.
        output: folder for state, metrics, curves and weights.
        resume: continue what is in ``output``.

    Returns:
        The weights file.

    Raises:
        ConfigError, DataError, OutputError: one sentence each.
        KeyboardInterrupt: after Ctrl-C or a polite kill, when state and weights so far are written.
    """
    run = read_run(run_file)
    held = (output / "state.pt").exists()
    if held and not resume:
        raise OutputError(
            f"{output} already holds a run; continue it with --resume or choose another folder."
        )
    if resume and not held:
        raise OutputError(f"There is no run to resume in {output}.")
    with writing(f"The run's folder {output}"):
        output.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(run, output, report)
        if resume:
            trainer.resume()
        is_main = trainer.accelerator.is_main_process
        with alone_in(output) if is_main else nullcontext(), stopping_politely(trainer.stop):
            if is_main:
                begin_records(trainer, run_file)
            trainer.train()
    if trainer.stopping:
        raise KeyboardInterrupt
    return output / f"{run.name}.safetensors"


def begin_records(trainer: Trainer, run_file: Path) -> None:
    """The run file, its origin, and metrics that end where the run begins."""
    output, metrics = trainer.output, trainer.output / "metrics.jsonl"
    shutil.copyfile(run_file, output / "run.toml")
    record_origin(trainer.run, trainer.records, output / "origin.json")
    step = trainer.progress.step
    kept = (
        [line for line in read_metrics(metrics) if line["step"] <= step] if step and metrics.exists() else []
    )
    metrics.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
