"""Train the classifier of one task and seed on the originals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from histoscale.experiments.cancer.classifier import augment, build_classifier, classify, logits
from histoscale.experiments.cancer.config import ClassifierTable
from histoscale.experiments.cancer.data import Patches
from histoscale.experiments.downstream.training import RateSchedule, StepReport, SupervisedLearner, train
from histoscale.experiments.images import as_batch
from histoscale.metrics.classification import accuracy, roc_auc
from histoscale.resources import Precision
from histoscale.training.loop import Intervals

EVALUATED_AT_ONCE = 64


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

    def run(self, report: StepReport | None = None) -> nn.Module:
        """Train to the last step, or read a finished training, and return the network.

        Raises:
            TrainingError: if the loss is not a number; the last good state is kept.
            KeyboardInterrupt: after SIGINT or SIGTERM, when the state is written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        learner, every = ClassifierLearner(self), self.table.validate_every
        intervals = Intervals(every, self.table.checkpoint_minutes, every)
        train(learner, self.folder, intervals, "lower classifier.rate", report)
        return learner.network.eval()


class ClassifierLearner(SupervisedLearner):
    """The training of a classifier, step by step."""

    curve_label = "validation"
    curves: ClassVar[Mapping[str, str]] = {"accuracy": "accuracy", "auc": "area under the ROC curve"}

    def __init__(self, training: Training):
        self.training, table = training, training.table
        torch.manual_seed(training.seed)
        network = build_classifier(table.depth).to(training.device)
        super().__init__(network, schedule_of(table), table.weight_decay)

    def loss(self, step: int) -> Float[Tensor, ""]:
        """Cross-entropy of the two classes on the patches of a step."""
        training, table = self.training, self.training.table
        random = torch.Generator().manual_seed(training.seed * 1_000_003 + step)
        classes = training.train.tasks[training.task]
        places = places_at(step, len(classes.indices), table.batch, training.seed)
        truth = torch.from_numpy(classes.positive[places].astype(np.float32))
        patches = as_batch(training.train.read(classes.indices[places])).to(training.device)
        batch = augment(patches, table.stain_jitter, random).contiguous(memory_format=torch.channels_last)
        answer = logits(self.network, batch, training.precision)
        return nn.functional.binary_cross_entropy_with_logits(answer, truth.to(training.device))

    def measure(self) -> dict[str, float]:
        """Accuracy and the area under the ROC curve on the validation patches."""
        self.network.eval()
        training = self.training
        truth = training.val.tasks[training.task].positive
        answer = probabilities(self.network, training.val, training.task, training.device, training.precision)
        return {"accuracy": float(accuracy(truth, answer > 0.5)), "auc": float(roc_auc(truth, answer))}


def schedule_of(table: ClassifierTable) -> RateSchedule:
    """The step size of each step of a training."""
    rise = max(1, round(table.warmup * table.steps))
    return RateSchedule(table.rate, table.steps, rise, rise)


def places_at(step: int, n: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Choose the batch of a step from n cases: every case is used once before any is used again."""
    # Batches are cut from the permutations of all epochs in a row, so they may span two of them.
    first = step * batch
    epochs = range(first // n, (first + batch - 1) // n + 1)
    order = np.concatenate([np.random.default_rng((seed, epoch)).permutation(n) for epoch in epochs])
    return order[first - epochs.start * n :][:batch]


def probabilities(
    network: nn.Module, patches: Patches, task: str, device: torch.device, precision: Precision
) -> Float[np.ndarray, " n"]:
    """Compute the probability of the positive class for all patches of a task."""
    indices = patches.tasks[task].indices
    parts = [indices[i : i + EVALUATED_AT_ONCE] for i in range(0, len(indices), EVALUATED_AT_ONCE)]
    found = [classify(network, patches.read(part), device, precision).numpy() for part in parts]
    return np.concatenate(found).astype(np.float64)
