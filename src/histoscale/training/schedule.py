"""How the step size changes over a run, and how far the run has come."""

import math
import time
from dataclasses import dataclass

from histoscale.config import TrainingTable


@dataclass
class Progress:
    """Steps done, seconds spent (earlier parts of a resumed run included), and what that is of the budget."""

    table: TrainingTable
    step: int = 0
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        self._clock = time.process_time if self.table.clock == "core" else time.monotonic
        self._started = self._clock() - self.spent_s

    def elapsed_s(self) -> float:
        """Seconds of training so far, on the clock of the budget."""
        return self._clock() - self._started

    def share(self) -> float:
        """Share of the budget that is used, in [0, 1]: of steps, or of minutes."""
        if self.table.steps:
            return min(1.0, self.step / self.table.steps)
        return min(1.0, self.elapsed_s() / (60 * self.table.minutes))


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
        return table.final_rate + (table.rate - table.final_rate) * (1 + math.cos(math.pi * phase)) / 2
    return table.rate


def share_since_restart(restarts: tuple[float, ...], share: float) -> float:
    """Share of the present part of the schedule, which begins at the last restart and ends at the next."""
    begun = max((r for r in restarts if r <= share), default=0.0)
    ends = min((r for r in restarts if r > share), default=1.0)
    return (share - begun) / (ends - begun)


def average_decay(average: float, step: int) -> float:
    """Decay of the moving average at ``step``, ramped so that early weights are forgotten soon."""
    return min(average, (1 + step) / (10 + step))
