"""The trainings of a study, each in its own process, several at the same time; all can be resumed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tomli_w

from histoscale import weights
from histoscale.config import Run, read_run
from histoscale.errors import HistoscaleError, OutputError
from histoscale.experiments.study.study_file import PlannedRun
from histoscale.experiments.tables import TextTable
from histoscale.files import write_text, writing
from histoscale.training.signals import terminated_as_interrupted

POLL_S = 0.2
"""Between two looks at what is running."""

Report = Callable[[str, int], None]
"""Called with the name of a training that has ended, and the number of trainings that are left."""


@dataclass
class Trainings:
    """Trains the runs of a study, and keeps finished ones.

    Args:
        folder: gets a folder for each run.
        workers: number of trainings at the same time.
        report: called at the end of each training.
    """

    folder: Path
    workers: int = 1
    report: Report | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    failed: list[str] = field(default_factory=list, init=False)

    def train(self, members: Sequence[PlannedRun]) -> None:
        """Train the runs that are not finished; if one training fails, the others still finish.

        Raises:
            OutputError: if the folder has a run of that name by another recipe, or cannot be written.
            HistoscaleError: after all the others, if a training failed.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, when every training has saved its state.
        """
        waiting = [member.run for member in members if not self.finished(member.run)]
        left = len(waiting)
        with self._stopped_together():
            while waiting or self.running:
                while waiting and len(self.running) < self.workers:
                    self._start(waiting.pop(0))
                for name in self._ended():
                    left -= 1
                    if self.report:
                        self.report(name, left)
                if self.running:
                    time.sleep(POLL_S)
        if self.failed:
            raise HistoscaleError(
                f"{len(self.failed)} of the study's trainings failed, first {self.failed[0]}: read "
                f"{self.log(self.failed[0])}, then repeat the command."
            )

    def finished(self, run: Run) -> bool:
        """Whether a run has used its whole budget.

        Raises:
            OutputError: if the folder has a run of that name by another recipe.
        """
        if (began_with := self._begun(run)) and not began_with.trains_as(run):
            raise OutputError(
                f"{self.folder / run.name} was trained with another recipe or budget: choose another folder."
            )
        return began_with is not None and self._has_whole_budget(run)

    def kept(self, members: Sequence[PlannedRun]) -> list[tuple[PlannedRun, Path]]:
        """List the runs that are finished, by this call or an earlier one, with their weights."""
        return [(member, self.weights(member.run)) for member in members if self._is_kept(member.run)]

    def _is_kept(self, run: Run) -> bool:
        try:
            began_with = self._begun(run)
            return began_with is not None and began_with.trains_as(run) and self._has_whole_budget(run)
        except HistoscaleError:  # a damaged run that was not asked for is no error
            return False

    def _begun(self, run: Run) -> Run | None:
        """Read the run that was begun under this name; None if there is none."""
        began_with = self.folder / run.name / "run.toml"
        return read_run(began_with) if began_with.exists() else None

    def _has_whole_budget(self, run: Run) -> bool:
        written = self.weights(run)
        if not written.exists():
            return False
        budget = weights.card(written).budget
        steps, seconds = int(budget.get("steps", 0)), int(budget.get("seconds", 0))
        return steps >= run.training.steps and seconds >= round(60 * run.training.minutes)

    def weights(self, run: Run) -> Path:
        """The file of a run's weights, once it is finished."""
        return self.folder / run.name / f"{run.name}.safetensors"

    def log(self, name: str) -> Path:
        """The log of a training."""
        return self.folder / f"{name}.log"

    def _start(self, run: Run) -> None:
        run_file = self.folder / f"{run.name}.toml"
        content = run.model_dump(mode="json", exclude_none=True)
        with writing(f"The study's folder {self.folder}"):
            write_text(run_file, tomli_w.dumps(content))
            log = self.log(run.name).open("ab")
        command = [sys.executable, "-m", "histoscale.cli", "train", str(run_file)]
        command += ["-o", str(self.folder / run.name)]
        if (self.folder / run.name / "state.pt").exists():
            command.append("--resume")
        with log:
            self.running[run.name] = subprocess.Popen(command, stdout=log, stderr=log)

    def _ended(self) -> list[str]:
        """List the trainings that have ended since the last call."""
        ended = [name for name, process in self.running.items() if process.poll() is not None]
        self.failed += [name for name in ended if self.running.pop(name).returncode]
        return ended

    @contextmanager
    def _stopped_together(self) -> Iterator[None]:
        """However the block ends, let the running trainings save their states, and wait for them."""
        with terminated_as_interrupted():
            try:
                yield
            finally:
                for process in self.running.values():
                    process.terminate()
                for process in self.running.values():
                    process.wait()


# Parameters, steps, patches and processor time of each training, as a Markdown table.


FEW_PATCHES = 4000
"""With fewer patches even the fastest methods are far from their final quality."""
COLUMNS = ("method", "seed", "scale", "parameters", "steps", "patches", "minutes", "")


def account(trained: Iterable[tuple[PlannedRun, Path]]) -> str:
    """Make the table from the cards of the weights."""
    return TextTable(COLUMNS, [_row(member, path) for member, path in trained]).grid() + "\n"


def is_undertrained(member: PlannedRun, path: Path) -> bool:
    """Whether a method that needs more training than others had too few patches."""
    return member.undertrained and _patches(member, path) < FEW_PATCHES


def _patches(member: PlannedRun, path: Path) -> int:
    return int(weights.card(path).budget["steps"]) * member.run.training.batch


def _row(member: PlannedRun, path: Path) -> tuple[str, ...]:
    card = weights.card(path)
    steps, seconds = int(card.budget["steps"]), float(card.budget["seconds"])
    scale = card.architecture.arguments.get("scale")
    return (
        member.label,
        str(member.seed),
        f"x{scale}" if scale else "any",
        f"{card.parameters:,}".replace(",", " "),
        str(steps),
        str(_patches(member, path)),
        f"{seconds / 60:.1f}",
        "undertrained" if is_undertrained(member, path) else "",
    )
