"""The loop of every training: steps, metrics, checkpoints, curves, resuming, and stopping on a signal."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch

from histoscale.errors import TrainingError, WeightsError
from histoscale.files import write_text
from histoscale.training.checkpoint import find_not_finite, read_state, write_state
from histoscale.training.curves import draw_curves, read_metrics
from histoscale.training.schedule import Progress
from histoscale.training.signals import stop_on_signals

STATE, METRICS, CURVES = "state.pt", "metrics.jsonl", "curves.png"

Report: TypeAlias = Callable[[Progress, float], None]
"""Called after every step with the progress and the last loss."""


@runtime_checkable
class Learner(Protocol):
    """What a loop trains.

    Attributes:
        optimiser: its rate is logged with the loss.
        curve_label: label of the figures that `curve_values` returns.
    """

    optimiser: Any
    curve_label: str

    def learn(self, step: int, share: float) -> float:
        """Take step number ``step`` when ``share`` of the budget is used, and return the loss."""

    def measure(self) -> Mapping[str, Any]:
        """Measure the model on validation images, and return a line of the metrics."""

    def curve_values(self, line: Mapping[str, Any]) -> Mapping[str, float]:
        """Return the figures of a line of the metrics that are drawn as curves, by name."""

    def state(self, is_last: bool) -> dict[str, Any]:
        """Return everything that the next step depends on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""


class Intervals(NamedTuple):
    """How often a loop logs, saves and measures; 0 for never.

    Attributes:
        log_every: steps between two lines with the loss.
        checkpoint_minutes: between two states.
        measure_every, measure_minutes: steps, or minutes, between two measurements. What is measured by
            minutes is also measured before the first step and where a signal ends the training.
    """

    log_every: int
    checkpoint_minutes: float
    measure_every: int = 0
    measure_minutes: float = 0.0


@dataclass
class Loop:
    """One training in its folder, from the first step or the last state to the end.

    Args:
        learner: what is trained.
        folder: of the state, the metrics and the curves.
        progress: steps done and the budget.
        intervals: how often what is written.
        advice: what to change if the loss is not a number.
        agree: turns the shares of the budget of several processes into one.
        is_main: whether this process writes the files.

    Attributes:
        is_stopped: whether a signal ended the training before its budget was used.
        saved_step: step of the last state that was written.
    """

    learner: Learner
    folder: Path
    progress: Progress
    intervals: Intervals
    advice: str
    agree: Callable[[float], float] = float
    is_main: bool = True
    is_stopped: bool = field(default=False, init=False)
    saved_step: int | None = field(default=None, init=False)

    def resume(self, state: Mapping[str, Any] | None = None) -> None:
        """Restore the last state.

        Args:
            state: the content of the file, if it was read already.

        Raises:
            WeightsError: if the file is missing, damaged, or of another training.
        """
        path = self.folder / STATE
        state = read_state(path) if state is None else state
        try:
            self.learner.restore(state)
            self.progress = self.progress.at(int(state["step"]), float(state.get("spent_s", 0.0)))
        except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            is_missing = isinstance(error, KeyError)
            reason = f"{error.args[0]} is missing" if is_missing else str(error).split("\n")[0]
            raise WeightsError(
                f"{path} is not the state of this training ({reason}): start again in another folder."
            ) from error
        self.saved_step = self.progress.step

    def run(self, report: Report | None = None) -> None:
        """Train until the budget is used or a signal comes, and save the state.

        Raises:
            TrainingError: at the first loss or weight that is not a number; the last good state is kept.
        """
        self._trim_metrics()
        with stop_on_signals(self.stop):
            share, loss = self.progress.share(), math.nan
            if self.intervals.measure_minutes:
                self.measure()
            measured = saved = time.monotonic()
            while share < 1:
                loss = self.learner.learn(self.progress.step, share)
                # Before the step is counted or saved: the state on disk stays the last good one.
                self._check_loss(loss)
                self.progress.step += 1
                if self._is_due(self.intervals.log_every):
                    self._log_loss(loss)
                if self._is_due(self.intervals.measure_every, self.intervals.measure_minutes, measured):
                    self.measure()
                    measured = time.monotonic()
                if time.monotonic() - saved > 60 * self.intervals.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
                if report is not None:
                    report(self.progress, loss)
                # All processes stop after the same step, else one would wait for the others' gradients.
                share = self.agree(1.0 if self.is_stopped else self.progress.share())
            self._end(loss)

    def stop(self) -> None:
        """End after the present step, with everything saved."""
        self.is_stopped = True

    def measure(self) -> None:
        """Measure the present model, write that down and draw the curves, which begin with the first step."""
        if self.is_main:
            self._check_state(self.learner.state(is_last=False))
            self._log(**self.learner.measure())
            if self.progress.step:
                self.draw()

    def save(self, is_last: bool = False) -> None:
        """Write everything that the next step depends on, unless a value in it is not a number."""
        if self.is_main:
            state = self.learner.state(is_last)
            self._check_state(state)
            write_state(
                self.folder / STATE,
                {"step": self.progress.step, "spent_s": self.progress.elapsed_s(), **state},
            )
            self.saved_step = self.progress.step

    def draw(self) -> None:
        """Draw the curves of the metrics so far."""
        metrics, learner = self.folder / METRICS, self.learner
        draw_curves(metrics, self.folder / CURVES, learner.curve_values, learner.curve_label)

    def _end(self, loss: float) -> None:
        """Log, measure and save the last step, unless that was done."""
        is_measured = bool(self.intervals.measure_every) and self._is_due(self.intervals.measure_every)
        if math.isfinite(loss) and not self._is_due(self.intervals.log_every):
            self._log_loss(loss)
        if self.intervals.measure_minutes or not (is_measured or self.is_stopped):
            self.measure()
        self.save(is_last=not self.is_stopped)

    def _is_due(self, every: int, minutes: float = 0.0, last: float = 0.0) -> bool:
        if every:
            return self.progress.step % every == 0
        return bool(minutes) and time.monotonic() - last > 60 * minutes

    def _log_loss(self, loss: float) -> None:
        self._log(loss=loss, rate=self.learner.optimiser.param_groups[0]["lr"])

    def _log(self, **values: Any) -> None:
        if self.is_main:
            line = {"step": self.progress.step, "elapsed_s": round(self.progress.elapsed_s(), 1), **values}
            with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(_without_nan(line), allow_nan=False) + "\n")

    def _trim_metrics(self) -> None:
        """Remove the lines of steps after the last state: they will be taken again."""
        metrics, step = self.folder / METRICS, self.progress.step
        if self.is_main:
            lines = read_metrics(metrics) if step and metrics.exists() else []
            kept = [json.dumps(line) + "\n" for line in lines if line["step"] <= step]
            write_text(metrics, "".join(kept))

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            self._fail(f"the loss is {loss}", self.progress.step + 1)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        if place := find_not_finite(state):
            self._fail(f"{place} holds a value that is not a finite number", self.progress.step)

    def _fail(self, what: str, step: int) -> None:
        kept = "no state was saved before"
        if self.saved_step is not None:
            kept = f"{self.folder / STATE} keeps the last good state, of step {self.saved_step}"
        raise TrainingError(
            f"Training stopped at step {step} because {what}; {kept}: {self.advice} and start again in "
            "another folder."
        )


def _without_nan(value: Any) -> Any:
    """The same with null for each number that JSON cannot write."""
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def random_state() -> dict[str, Any]:
    """The state of torch's random numbers."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"random": torch.get_rng_state(), "random_cuda": cuda}


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_cuda"])
