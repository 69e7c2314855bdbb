"""One U-Net: a seed, and a kind of image that it learns from. Stopped, it goes on; finished, it is kept."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from histoscale.errors import OutputError, WeightsError
from histoscale.experiments.glands.config import LR, GlandRun, GlandTraining
from histoscale.experiments.glands.data import TRAIN, VALIDATION, GlandImage, Pictures, of_part
from histoscale.experiments.glands.patches import Patches, Sample
from histoscale.experiments.glands.segmentation import build_unet, gland_classes, predict
from histoscale.files import atomic_write, write_text, writing
from histoscale.resources import find_device, find_precision
from histoscale.training.checkpoint import read_state, write_state
from histoscale.training.curves import read_metrics

NETWORK, STATE, METRICS, RECIPE = "network.safetensors", "state.pt", "metrics.jsonl", "recipe.json"
VALIDATED = 4
"""At most so many validation images draw the curves; they decide nothing."""

Report: TypeAlias = Callable[[int], None]
"""Told the step after each."""


class Task(NamedTuple):
    """One training and its folder."""

    run: GlandRun
    seed: int
    kind: str
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether the network is there."""
        return (self.folder / NETWORK).exists()

    def steps_done(self) -> int:
        """How far the training is, by what it has written down."""
        metrics = self.folder / METRICS
        lines = read_metrics(metrics) if metrics.exists() else []
        return max((int(line["step"]) for line in lines), default=0)


def task_of(run: GlandRun, seed: int, kind: str, folder: Path) -> Task:
    """The training of a kind and seed in the folder of a run."""
    return Task(run, seed, kind, folder / "trainings" / f"{kind}-seed{seed}")


def begin(task: Task, pictures: Pictures, images: list[GlandImage]) -> None:
    """Write down what the network depends on, or find it as it was.

    Raises:
        OutputError: if the folder holds a training by another recipe, or cannot be written.
    """
    source = pictures.folders.get(task.kind)
    recipe = {
        **json.loads(task.run.model_dump_json(include={"network", "training", "data", "precision"})),
        "boundary_px": task.run.objects.boundary_px,
        "seed": task.seed,
        "kind": source.name if source else task.kind,
        "images": [f"{image.set}/{image.id}" for image in of_part(images, TRAIN)],
    }
    recipe["data"].pop("root")
    written = task.folder / RECIPE
    with writing(task.folder):
        if not written.exists():
            write_text(written, json.dumps(recipe, indent=1) + "\n")
        elif _read_recipe(written) != recipe:
            raise OutputError(f"{task.folder} was trained by another recipe: choose another folder.")


def _read_recipe(written: Path) -> Any:
    try:
        return json.loads(written.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{written} is damaged, wanted the recipe of a training: {error}.") from error


def load_network(task: Task) -> nn.Module:
    """A finished training's network.

    Raises:
        WeightsError: if it is damaged.
    """
    network = build_unet(task.run.network)
    try:
        network.load_state_dict(load_file(task.folder / NETWORK))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{task.folder / NETWORK} cannot be read: {error}.") from None
    return network.to(find_device(task.run.device)).eval()


@dataclass
class UNetTraining:
    """A training from its first step, or from where it was left, to its last.

    Args:
        patches: what it learns from.
        validation: whole samples for the curves.
    """

    task: Task
    patches: Patches
    validation: list[Sample]
    step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        from monai.losses.dice import DiceCELoss

        torch.manual_seed(self.task.seed)
        self.device = find_device(self.task.run.device)
        self.is_bf16 = find_precision(self.task.run.precision, self.device) == "bf16"
        self.network = build_unet(self.task.run.network).to(self.device)
        self.loss = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=self.table.rate)
        state = self.task.folder / STATE
        if state.exists():
            self._resume(read_state(state))

    @property
    def table(self) -> GlandTraining:
        """How it is trained."""
        return self.task.run.training

    def train(self, report: Report | None = None) -> None:
        """Take the steps that are left, and write the network."""
        saved = time.monotonic()
        while self.step < self.table.steps:
            loss = self._learn(*self.patches.at(self.step))
            self.step += 1
            if self.step % self.table.log_every == 0 or self.step == self.table.steps:
                self._log(loss=loss)
            if self.validation and self.step % self.table.validate_every == 0:
                self._log(dice=self._dice())
            if time.monotonic() - saved > 60 * self.table.checkpoint_minutes:
                self._save()
                saved = time.monotonic()
            if report is not None:
                report(self.step)
        with atomic_write(self.task.folder / NETWORK) as partial:
            save_file({k: v.contiguous() for k, v in self.network.state_dict().items()}, partial)
        (self.task.folder / STATE).unlink(missing_ok=True)

    def _learn(self, batch: Float[Tensor, "b 3 p p"], classes: Int[Tensor, "b 1 p p"]) -> float:
        """One step."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.table.rate * rate_share(self.step, self.table)
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
            answer = self.network(batch.to(self.device))
        loss = self.loss(answer.float(), classes.to(self.device))
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def _dice(self) -> float:
        """Mean Dice of gland, boundary included, against background over the validation images."""
        figures = []
        for picture, classes in self.validation:
            size = classes.shape[0], classes.shape[1]
            answer = predict(self.network, picture, size, self.task.run.network.multiple_px)
            found, true = answer.argmax(axis=0) > 0, classes > 0
            figures.append(2 * (found & true).sum() / max(1, found.sum() + true.sum()))
        return float(np.mean(figures))

    def _log(self, **figures: float) -> None:
        with (self.task.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": self.step, **figures}) + "\n")

    def _save(self) -> None:
        state = {"step": self.step, "network": self.network.state_dict()}
        write_state(self.task.folder / STATE, {**state, "optimiser": self.optimiser.state_dict()})

    def _resume(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        metrics = self.task.folder / METRICS
        lines = read_metrics(metrics) if metrics.exists() else []
        kept = [json.dumps(line) + "\n" for line in lines if line["step"] <= self.step]
        write_text(metrics, "".join(kept))


def rate_share(step: int, table: GlandTraining) -> float:
    """Share of the step size's height: a linear rise, then half a cosine down to zero."""
    rise = table.warmup * table.steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, table.steps - rise)))


def train_unet(
    task: Task, pictures: Pictures, images: list[GlandImage], report: Report | None = None
) -> None:
    """Train a network, unless it is there.

    Raises:
        DataError: if an image cannot be read.
        OutputError: if its folder holds another recipe or cannot be written.
        WeightsError: if what it should go on with is damaged.
    """
    begin(task, pictures, images)
    if task.is_finished:
        return
    table = task.run.training
    side = table.patch_px // 2 if task.kind == LR else table.patch_px
    patches = Patches(_samples(task, pictures, of_part(images, TRAIN)), side, table.batch, task.seed)
    with writing(task.folder):
        UNetTraining(task, patches, _samples(task, pictures, validated(images))).train(report)


def validated(images: list[GlandImage]) -> list[GlandImage]:
    """The validation images that draw the curves, evenly spread."""
    validation = of_part(images, VALIDATION)
    return validation[:: max(1, math.ceil(len(validation) / VALIDATED))]


def _samples(task: Task, pictures: Pictures, images: list[GlandImage]) -> list[Sample]:
    """Pictures of the task's kind with their classes; the boundary is as wide in micrometres at any size."""
    step = pictures.step(task.kind)
    width = max(1, round(task.run.objects.boundary_px / step))
    return [
        Sample(pictures.seen(image, task.kind), gland_classes(pictures.labels(image, step), width))
        for image in images
    ]
