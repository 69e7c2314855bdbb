"""Train the classifier of one task and seed on the originals; stopped at any step, it goes on from there."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from torch import Tensor, nn

from histoscale.experiments.cancer.classifier import as_batch, augment, build_classifier, classify, logits
from histoscale.experiments.cancer.config import ClassifierTable
from histoscale.experiments.cancer.data import Patches
from histoscale.files import atomic_write, write_text
from histoscale.inference import Precision
from histoscale.metrics.classification import accuracy, roc_auc
from histoscale.training.checkpoint import read_state, stopping_politely, write_state
from histoscale.training.curves import read_metrics

# Loss and validation figures over a training, as a picture.


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.jsonl`` to a PNG: loss on the left, accuracy and area under the curve on the right."""
    lines = read_metrics(metrics)
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, [line["loss"] for line in lines], marker="o", ms=3, lw=1.2, color="#4c72b0")
    left.set(xlabel="step", ylabel="loss of a batch")
    for key, label in (("accuracy", "accuracy"), ("auc", "area under the ROC curve")):
        right.plot(steps, [line[key] for line in lines], marker="o", ms=3, lw=1.2, label=label)
    right.set(xlabel="step", ylabel="validation", ylim=(0.4, 1.0))
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(picture) as temporary:
        figure.savefig(temporary, dpi=110)


STATE, METRICS, CURVES = "state.pt", "metrics.jsonl", "curves.png"
EVALUATED_AT_ONCE = 64
Report = Callable[[int], None]
"""Called after every step with the number of steps done."""


@dataclass
class Training:
    """One training.

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
    stopping: bool = field(default=False, init=False)
    step: int = field(default=0, init=False)
    spent_s: float = field(default=0.0, init=False)

    def carry_out(self, report: Report | None = None) -> nn.Module:
        """Train to the last step, or to an interrupt, and leave state and curves; the network to be used.

        Raises:
            KeyboardInterrupt: after Ctrl-C or a polite kill, once the state is written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(self.seed)
        self.network = build_classifier(self.table.depth).to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.table.rate, weight_decay=self.table.weight_decay
        )
        self._go_back()
        if self.step < self.table.steps:
            with stopping_politely(self.stop):
                self._take_steps(report)
            draw_curves(self.folder / METRICS, self.folder / CURVES)
            if self.stopping:
                raise KeyboardInterrupt
        return self.network.eval()

    def _take_steps(self, report: Report | None) -> None:
        started = saved = time.monotonic()
        before = self.spent_s
        for step in range(self.step, self.table.steps):
            loss = self._step(step)
            self.step, now = step + 1, time.monotonic()
            self.spent_s = before + now - started
            if self.step % self.table.validate_every == 0 or self.step == self.table.steps:
                self._log(loss)
            if report is not None:
                report(self.step)
            last = self.stopping or self.step == self.table.steps
            if last or now - saved > 60 * self.table.checkpoint_minutes:
                self._save()
                saved = now
            if last:
                return

    def _step(self, step: int) -> float:
        """One step; which patches and how they are turned follows from seed and step alone."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        pixels, wanted = self._batch(step)
        batch = augment(as_batch(pixels, self.device), self.table.stain_jitter, random)
        for group in self.optimiser.param_groups:
            group["lr"] = self.table.rate * height_at(step, self.table.steps, self.table.warmup)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        said = logits(self.network, batch.contiguous(memory_format=torch.channels_last), self.precision)
        loss = nn.functional.binary_cross_entropy_with_logits(said, wanted.to(self.device))
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def _batch(self, step: int) -> tuple[UInt8[np.ndarray, "b side side 3"], Float[Tensor, " b"]]:
        """The patches of a step and their classes."""
        classes = self.train.tasks[self.task]
        places = places_at(step, len(classes.indices), self.table.batch, self.seed)
        wanted = torch.from_numpy(classes.positive[places].astype(np.float32))
        return self.train.read(classes.indices[places]), wanted

    def _log(self, loss: float) -> None:
        self.network.eval()
        truth = self.val.tasks[self.task].positive
        said = probabilities(self.network, self.val, self.task, self.device, self.precision)
        line = {
            "step": self.step,
            "elapsed_s": round(self.spent_s, 1),
            "loss": loss,
            "accuracy": float(accuracy(truth, said > 0.5)),
            "auc": float(roc_auc(truth, said)),
        }
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        """Write everything that the next step depends on, if there is one."""
        state = {"step": self.step, "spent_s": self.spent_s, "network": self.network.state_dict()}
        if self.step < self.table.steps:
            state["optimiser"] = self.optimiser.state_dict()
        write_state(self.folder / STATE, state)

    def _go_back(self) -> None:
        """To where `_save` left off, if it did."""
        metrics = self.folder / METRICS
        if (self.folder / STATE).exists():
            state: dict[str, Any] = read_state(self.folder / STATE)
            self.network.load_state_dict(state["network"])
            if "optimiser" in state:
                self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent_s = state["step"], state["spent_s"]
        kept = (
            [line for line in read_metrics(metrics) if line["step"] <= self.step] if metrics.exists() else []
        )
        write_text(metrics, "".join(json.dumps(line) + "\n" for line in kept))

    def stop(self) -> None:
        """End after the present step, with everything saved."""
        self.stopping = True


def places_at(step: int, n: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Which of n cases are a step's batch: all of them in a new order before any comes again."""
    first = step * batch
    epochs = range(first // n, (first + batch - 1) // n + 1)
    order = np.concatenate([np.random.default_rng((seed, epoch)).permutation(n) for epoch in epochs])
    return order[first - epochs.start * n :][:batch]


def height_at(step: int, steps: int, warmup: float) -> float:
    """Share of the highest step size: up in a line, down by a half cosine."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def probabilities(
    network: nn.Module, patches: Patches, task: str, device: torch.device, precision: Precision
) -> Float[np.ndarray, " n"]:
    """Of the positive class, for the patches of a task as they are."""
    indices = patches.tasks[task].indices
    parts = [indices[i : i + EVALUATED_AT_ONCE] for i in range(0, len(indices), EVALUATED_AT_ONCE)]
    said = [classify(network, patches.read(part), device, precision).numpy() for part in parts]
    return np.concatenate(said).astype(np.float64)
