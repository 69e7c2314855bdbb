"""Train the network of a downstream task by AdamW, with a warm-up and half a cosine, and resume it."""

import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.training.loop import STATE, Intervals, Loop
from histoscale.training.schedule import Progress, warmup_cosine

MIDDLE, SPREAD = 0.5, 0.25
StepReport: TypeAlias = Callable[[int], None]
"""Called after every step with the number of steps done."""


def monai_network(module: str, name: str) -> Any:
    """Find a network of MONAI.

    Args:
        module: in ``monai.networks.nets``.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    try:
        return getattr(import_module(f"monai.networks.nets.{module}"), name)
    except ImportError:
        raise ConfigError("The network needs MONAI: pip install 'histoscale[downstream]'.") from None


def normalised(batch: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Shift and scale colours in [0, 1] to those of a network's input."""
    return (batch - MIDDLE) / SPREAD


@dataclass(frozen=True)
class RateSchedule:
    """The step size: it rises in a straight line to ``rate``, then falls to 0 by half a cosine.

    Attributes:
        steps: number of steps of the training.
        rise: number of steps in which the step size rises.
        top: the step, counted from 1, at which the straight line reaches ``rate``.
    """

    rate: float
    steps: int
    rise: float
    top: float

    def at(self, step: int) -> float:
        """Compute the step size of a step, counted from 0."""
        return self.rate * warmup_cosine(step, self.steps, self.rise, self.top)


class SupervisedLearner(ABC):
    """A network that AdamW trains, as a `histoscale.training.loop.Learner`.

    Attributes:
        curves: the name of each figure of `measure` in the drawn curves.
    """

    curve_label: str
    curves: ClassVar[Mapping[str, str]]

    def __init__(self, network: nn.Module, schedule: RateSchedule, weight_decay: float = 0.01):
        self.network, self.schedule = network, schedule
        self.optimiser = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=weight_decay)

    @abstractmethod
    def loss(self, step: int) -> Float[Tensor, ""]:
        """Compute the loss on the batch of a step, which seed and step alone determine."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Measure the present network on validation images."""

    def learn(self, step: int, share: float) -> float:  # noqa: ARG002
        """Take one step, and return the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.at(step)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(step)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def curve_values(self, line: Mapping[str, Any]) -> dict[str, float]:
        """Select the figures of a line of the metrics."""
        return {name: line[key] for key, name in self.curves.items() if line.get(key) is not None}

    def state(self, is_last: bool) -> dict[str, Any]:
        """Collect everything that the next step depends on, if there is one."""
        optimiser = {} if is_last else {"optimiser": self.optimiser.state_dict()}
        return {"network": self.network.state_dict(), **optimiser}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state; that of a finished training has no optimiser."""
        self.network.load_state_dict(state["network"])
        if "optimiser" in state or state["step"] < self.schedule.steps:
            self.optimiser.load_state_dict(state["optimiser"])


def train(
    learner: SupervisedLearner,
    folder: Path,
    intervals: Intervals,
    advice: str,
    report: StepReport | None = None,
) -> None:
    """Train to the last step; if there is a state in ``folder``, resume from it.

    Args:
        advice: what to change if the loss is not a number.

    Raises:
        TrainingError: if the loss is not a number; the last good state is kept.
        WeightsError: if the state is damaged or of another training.
        KeyboardInterrupt: after SIGINT or SIGTERM, when the state is written.
    """
    loop = Loop(learner, folder, Progress(learner.schedule.steps), intervals, advice)
    if (folder / STATE).exists():
        loop.resume()
    if loop.progress.share() < 1:
        loop.run(report and (lambda progress, _: report(progress.step)))
    if loop.is_stopped:
        if multiprocessing.parent_process() is not None:
            signal.raise_signal(signal.SIGTERM)  # ends this worker, which would else be given its next job
        raise KeyboardInterrupt
