"""Train the classifier of one task and seed on the originals; stopped at any step, it is resumed there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from histoscale.experiments.cancer.classifier import as_batch, augment, build_classifier, classify, logits
from histoscale.experiments.cancer.config import ClassifierTable
from histoscale.experiments.cancer.data import Patches
from histoscale.metrics.classification import accuracy, roc_auc
from histoscale.resources import Precision
from histoscale.training.loop import STATE, Intervals, Loop
from histoscale.training.schedule import Progress, warmup_cosine

EVALUATED_AT_ONCE = 64
Report = Callable[[int], None]
"""Called after every step with the number of steps done."""


@dataclass
class Training:
    """One training, and its network as a `histoscale.training.loop.Learner`.

    Args:
        table: how to train.
        task: of ``train`` and ``val``.
        folder: of this training.
    """

    table: ClassifierTable
    task: str
    seed: int
    train: Patches
    val: Patches
    folder: Path
    device: torch.device
    precision: Precision
    curve_label: str = field(default="validation", init=False)

    def run(self, report: Report | None = None) -> nn.Module:
        """Train to the last step and return the network; a finished training is read.

        Raises:
            TrainingError: if the loss is not a number; the last good state is kept.
            KeyboardInterrupt: after SIGINT or SIGTERM, when the state is written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(self.seed)
        self.network = build_classifier(self.table.depth).to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.table.rate, weight_decay=self.table.weight_decay
        )
        every = self.table.validate_every
        intervals = Intervals(every, self.table.checkpoint_minutes, every)
        loop = Loop(self, self.folder, Progress(self.table.steps), intervals, "lower classifier.rate")
        if (self.folder / STATE).exists():
            loop.resume()
        if loop.progress.share() < 1:
            loop.run(report and (lambda progress, _: report(progress.step)))
        if loop.is_stopped:
            raise KeyboardInterrupt
        return self.network.eval()

    def learn(self, step: int, share: float) -> float:  # noqa: ARG002
        """Take one step; which patches, and how they are turned, follows from seed and step alone."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        pixels, truth = self._batch(step)
        batch = augment(as_batch(pixels, self.device), self.table.stain_jitter, random)
        for group in self.optimiser.param_groups:
            group["lr"] = self.table.rate * rate_share(step, self.table.steps, self.table.warmup)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        answer = logits(self.network, batch.contiguous(memory_format=torch.channels_last), self.precision)
        loss = nn.functional.binary_cross_entropy_with_logits(answer, truth.to(self.device))
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def _batch(self, step: int) -> tuple[UInt8[np.ndarray, "b side side 3"], Float[Tensor, " b"]]:
        """Read the patches of a step and their classes."""
        classes = self.train.tasks[self.task]
        places = places_at(step, len(classes.indices), self.table.batch, self.seed)
        truth = torch.from_numpy(classes.positive[places].astype(np.float32))
        return self.train.read(classes.indices[places]), truth

    def measure(self) -> dict[str, float]:
        """Measure accuracy and the area under the ROC curve on the validation patches."""
        self.network.eval()
        truth = self.val.tasks[self.task].positive
        answer = probabilities(self.network, self.val, self.task, self.device, self.precision)
        return {"accuracy": float(accuracy(truth, answer > 0.5)), "auc": float(roc_auc(truth, answer))}

    def curve_values(self, line: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and area under the curve, where a line of the metrics has them."""
        names = {"accuracy": "accuracy", "auc": "area under the ROC curve"}
        return {names[key]: line[key] for key in names if line.get(key) is not None}

    def state(self, is_last: bool) -> dict[str, Any]:
        """Everything that the next step depends on, if there is one."""
        optimiser = {} if is_last else {"optimiser": self.optimiser.state_dict()}
        return {"network": self.network.state_dict(), **optimiser}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state; that of a finished training has no optimiser."""
        self.network.load_state_dict(state["network"])
        if "optimiser" in state or state["step"] < self.table.steps:
            self.optimiser.load_state_dict(state["optimiser"])


def places_at(step: int, n: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Which of n cases are a step's batch: all of them in a new order before any comes again."""
    first = step * batch
    epochs = range(first // n, (first + batch - 1) // n + 1)
    order = np.concatenate([np.random.default_rng((seed, epoch)).permutation(n) for epoch in epochs])
    return order[first - epochs.start * n :][:batch]


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Share of the highest step size at a step."""
    rise = max(1, round(warmup * steps))
    return warmup_cosine(step, steps, rise, rise)


def probabilities(
    network: nn.Module, patches: Patches, task: str, device: torch.device, precision: Precision
) -> Float[np.ndarray, " n"]:
    """Compute the probability of the positive class for all patches of a task, without augmentation."""
    indices = patches.tasks[task].indices
    parts = [indices[i : i + EVALUATED_AT_ONCE] for i in range(0, len(indices), EVALUATED_AT_ONCE)]
    found = [classify(network, patches.read(part), device, precision).numpy() for part in parts]
    return np.concatenate(found).astype(np.float64)
