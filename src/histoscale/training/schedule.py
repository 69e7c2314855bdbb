"""How the step size changes over a training, and how far the training has come."""

import math
import time
from dataclasses import dataclass, replace
from typing import Literal

from histoscale.config import TrainingTable


@dataclass
class Progress:
    """Steps done and seconds spent, of a budget of steps or of minutes.

    Args:
        steps: the budget, or 0 for one of minutes.
        minutes: the budget where there are no steps.
        clock: "wall" for elapsed time, "core" for processor time.
        step: steps done.
        spent_s: seconds spent before, by the earlier parts of a resumed training.
    """

    steps: int = 0
    minutes: float = 0.0
    clock: Literal["wall", "core"] = "wall"
    step: int = 0
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        self._clock = time.process_time if self.clock == "core" else time.monotonic
        self._started = self._clock() - self.spent_s

    def elapsed_s(self) -> float:
        """Seconds of training so far, on the clock of the budget."""
        return self._clock() - self._started

    def share(self) -> float:
        """Share of the budget that is used, in [0, 1]: of steps, or of minutes."""
        if self.steps:
            return min(1.0, self.step / self.steps)
        return min(1.0, self.elapsed_s() / (60 * self.minutes))

    def at(self, step: int, spent_s: float) -> "Progress":
        """The same budget with other steps done and seconds spent."""
        return replace(self, step=step, spent_s=spent_s)


def step_size(table: TrainingTable, share: float) -> float:
    """Adam's step size when ``share`` of the budget is used."""
    share = share_since_restart(table.restarts, share)
    if share < table.warmup:
        return table.rate * max(share / table.warmup, 1e-3)
    if table.schedule == "milestones":
        return float(table.rate * 0.5 ** sum(share >= m for m in table.milestones))
    if table.schedule == "staircase":
        return float(table.rate * table.stair ** int(share * table.stairs + 1e-9))
    if table.schedule == "cosine":
        phase = (share - table.warmup) / (1 - table.warmup) if table.warmup < 1 else 1.0
        return table.final_rate + (table.rate - table.final_rate) * half_cosine(phase)
    return table.rate


def warmup_cosine(step: int, steps: int, rise: float, top: float) -> float:
    """Share of the highest step size: a straight rise, then half a cosine down to 0.

    Args:
        step: how many steps are done.
        steps: how many there are.
        rise: steps that rise.
        top: the step that would reach the top if the rise went on.
    """
    if step < rise:
        return (step + 1) / top
    return half_cosine(step - rise, max(1.0, steps - rise))


def half_cosine(done: float, whole: float = 1.0) -> float:
    """Half a cosine from 1, where nothing is done, to 0, where the whole is."""
    return 0.5 * (1 + math.cos(math.pi * done / whole))


def share_since_restart(restarts: tuple[float, ...], share: float) -> float:
    """Share of the present part of the schedule, which begins at the last restart and ends at the next."""
    begun = max((r for r in restarts if r <= share), default=0.0)
    ends = min((r for r in restarts if r > share), default=1.0)
    return (share - begun) / (ends - begun)


def average_decay(average: float, step: int) -> float:
    """Decay of the moving average at ``step``, ramped so that early weights are forgotten soon."""
    return min(average, (1 + step) / (10 + step))
