"""The trainings of a study: one process for each, several at the same time, all of which can be resumed."""

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
"""Told the name of a training that has ended and how many are still to do."""


@dataclass
class Trainings:
    """Train the runs of a study in ``folder``, a folder for each; finished ones are kept.

    Args:
        folder: of the study.
        workers: processes side by side.
        report: called at the end of each training.
    """

    folder: Path
    workers: int = 1
    report: Report | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    failed: list[str] = field(default_factory=list, init=False)

    def train(self, members: Sequence[PlannedRun]) -> None:
        """Train whatever is not finished; where one training fails, the others still finish.

        Raises:
            OutputError: if the folder holds the same name with another recipe or cannot be written.
            HistoscaleError: after all the others, if a training failed.
            KeyboardInterrupt: after Ctrl-C or a polite kill, when every training has saved its state.
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
                f"{len(self.failed)} of the study's trainings failed, the first of them {self.failed[0]}: "
                f"see {self.log(self.failed[0])}."
            )

    def finished(self, run: Run) -> bool:
        """Whether a run's weights are there and have had its whole budget.

        Raises:
            OutputError: if the folder holds another run of that name.
        """
        if (began_with := self._begun(run)) and not began_with.trains_as(run):
            raise OutputError(
                f"{self.folder / run.name} was trained by another recipe or budget: choose another folder."
            )
        return began_with is not None and self._has_whole_budget(run)

    def kept(self, members: Sequence[PlannedRun]) -> list[tuple[PlannedRun, Path]]:
        """Which of these are finished, by this call or an earlier one, and where their weights are."""
        return [(member, self.weights(member.run)) for member in members if self._is_kept(member.run)]

    def _is_kept(self, run: Run) -> bool:
        try:
            began_with = self._begun(run)
            return began_with is not None and began_with.trains_as(run) and self._has_whole_budget(run)
        except HistoscaleError:  # nobody asked for this one: it is not there, whatever ails it
            return False

    def _begun(self, run: Run) -> Run | None:
        """The run that was begun under this one's name."""
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
        """Where a run's weights are once it is finished."""
        return self.folder / run.name / f"{run.name}.safetensors"

    def log(self, name: str) -> Path:
        """What the training called ``name`` said."""
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
        """Names of the trainings that have ended since the last call."""
        ended = [name for name, process in self.running.items() if process.poll() is not None]
        self.failed += [name for name in ended if self.running.pop(name).returncode]
        return ended

    @contextmanager
    def _stopped_together(self) -> Iterator[None]:
        """However this ends, what is still running is asked to save its state and waited for."""
        with terminated_as_interrupted():
            try:
                yield
            finally:
                for process in self.running.values():
                    process.terminate()
                for process in self.running.values():
                    process.wait()


# What each training of a study had: parameters, steps, patches and processor time, as a Markdown table.


FEW_PATCHES = 4000
"""Below so many even the quickest methods are far from what they come to."""
COLUMNS = ("method", "seed", "scale", "parameters", "steps", "patches", "minutes", "")


def account(trained: Iterable[tuple[PlannedRun, Path]]) -> str:
    """One row a training, made from the cards of the weights."""
    return TextTable(COLUMNS, [_row(member, path) for member, path in trained]).grid() + "\n"


def is_undertrained(member: PlannedRun, path: Path) -> bool:
    """Whether a method that learns slowly had so few patches that its weights say nothing of it."""
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
