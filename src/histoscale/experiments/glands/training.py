"""Train one U-Net for a seed and a kind of images; resume it where it was stopped, keep it once finished."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from histoscale.errors import OutputError, WeightsError
from histoscale.experiments.downstream.training import RateSchedule, StepReport, SupervisedLearner, train
from histoscale.experiments.glands.config import LR, GlandRun, GlandTraining
from histoscale.experiments.glands.data import TRAIN, VALIDATION, GlandImage, ImageStore, find_glands, of_part
from histoscale.experiments.glands.patches import LabelledImage, PatchSampler
from histoscale.experiments.glands.segmentation import build_unet, gland_classes, predict
from histoscale.files import atomic_write, write_text, writing
from histoscale.resources import Compute, find_device
from histoscale.training.curves import read_metrics
from histoscale.training.loop import METRICS, STATE, Intervals

NETWORK, RECIPE = "network.safetensors", "recipe.json"
VALIDATED = 4
"""Largest number of validation images; they only serve the curves."""


class UNetTask(NamedTuple):
    """One training.

    Attributes:
        kind: of the images that the U-Net is trained on.
        output: folder of the run.
    """

    run: GlandRun
    seed: int
    kind: str
    output: Path

    @property
    def folder(self) -> Path:
        """Folder of this training."""
        return self.output / "trainings" / f"{self.kind}-seed{self.seed}"

    @property
    def images(self) -> ImageStore:
        """The images of the run."""
        return ImageStore(self.run, self.output)

    @property
    def is_finished(self) -> bool:
        """Whether the network is trained."""
        return (self.folder / NETWORK).exists()

    def steps_done(self) -> int:
        """Read the last step from the metrics."""
        metrics = self.folder / METRICS
        lines = read_metrics(metrics) if metrics.exists() else []
        return max((int(line["step"]) for line in lines), default=0)


def begin(task: UNetTask, records: Sequence[GlandImage]) -> None:
    """Write the recipe that the network depends on, or compare it with the one of an earlier call.

    Raises:
        OutputError: if the folder holds a training by another recipe, or cannot be written.
    """
    source = task.images.folders.get(task.kind)
    recipe = {
        **json.loads(task.run.model_dump_json(include={"network", "training", "data", "precision"})),
        "boundary_px": task.run.objects.boundary_px,
        "seed": task.seed,
        "kind": source.name if source else task.kind,
        "images": [f"{image.set}/{image.id}" for image in of_part(records, TRAIN)],
    }
    recipe["data"].pop("root")
    written = task.folder / RECIPE
    with writing(task.folder):
        if not written.exists():
            write_text(written, json.dumps(recipe, indent=1) + "\n")
        elif _read_recipe(written) != recipe:
            raise OutputError(f"{task.folder} was trained with other settings: choose another folder.")


def _read_recipe(written: Path) -> Any:
    try:
        return json.loads(written.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{written} is damaged: {error}. Delete the folder to train again.") from error


def load_network(task: UNetTask) -> nn.Module:
    """Load the network of a finished training.

    Raises:
        WeightsError: if it is damaged.
    """
    network = build_unet(task.run.network)
    try:
        network.load_state_dict(load_file(task.folder / NETWORK))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{task.folder / NETWORK} cannot be read: {error}.") from None
    return network.to(find_device(task.run.device)).eval()


class UNetLearner(SupervisedLearner):
    """The training of a U-Net, step by step.

    Args:
        task: the training.
        patches: what it learns from.
        validation: whole images that its Dice is measured on.
    """

    curve_label = "validation Dice of gland pixels"
    curves: ClassVar[Mapping[str, str]] = {"dice": "Dice"}

    def __init__(self, task: UNetTask, patches: PatchSampler, validation: list[LabelledImage]):
        from monai.losses.dice import DiceCELoss

        self.task, self.patches, self.validation = task, patches, validation
        self.device, precision = Compute(task.run.device, task.run.precision).resolve()
        self.is_bf16 = precision == "bf16"
        torch.manual_seed(task.seed)
        super().__init__(build_unet(task.run.network).to(self.device), schedule_of(task.run.training))
        self.criterion = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)

    def loss(self, step: int) -> Float[Tensor, ""]:
        """Dice and cross-entropy of the three classes on the patches of a step."""
        batch, classes = self.patches.at(step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
            answer = self.network(batch.to(self.device))
        return cast(Tensor, self.criterion(answer.float(), classes.to(self.device)))

    def measure(self) -> dict[str, float]:
        """Mean Dice of gland, boundary included, against background."""
        figures = []
        for image, classes in self.validation:
            size = classes.shape[0], classes.shape[1]
            answer = predict(self.network, image, size, self.task.run.network.multiple_px)
            found, true = answer.argmax(axis=0) > 0, classes > 0
            figures.append(2 * (found & true).sum() / max(1, found.sum() + true.sum()))
        return {"dice": float(np.mean(figures))} if figures else {}


def schedule_of(table: GlandTraining) -> RateSchedule:
    """The step size of each step of a training."""
    rise = table.warmup * table.steps
    return RateSchedule(table.rate, table.steps, rise, rise + 1)


def train_unet(task: UNetTask, report: StepReport | None = None) -> None:
    """Train a network, unless it is trained already.

    Raises:
        InputError: if an image cannot be read.
        OutputError: if its folder holds another recipe or cannot be written.
        TrainingError: if the loss is not a number; the last good state is kept.
        WeightsError: if the state to resume from is damaged.
        KeyboardInterrupt: after SIGINT or SIGTERM, when the state is written.
    """
    records = find_glands(task.run.data)
    begin(task, records)
    if task.is_finished:
        return
    table = task.run.training
    side = table.patch_px // 2 if task.kind == LR else table.patch_px
    patches = PatchSampler(_samples(task, of_part(records, TRAIN)), side, table.batch, task.seed)
    with writing(task.folder):
        learner = UNetLearner(task, patches, _samples(task, validated(records)))
        intervals = Intervals(table.log_every, table.checkpoint_minutes, table.validate_every)
        train(learner, task.folder, intervals, "lower training.rate", report)
        with atomic_write(task.folder / NETWORK) as temporary:
            tensors = {name: tensor.contiguous() for name, tensor in learner.network.state_dict().items()}
            save_file(tensors, temporary)
        (task.folder / STATE).unlink()


def validated(records: Sequence[GlandImage]) -> list[GlandImage]:
    """Choose the validation images of the curves, evenly spread."""
    validation = of_part(records, VALIDATION)
    return validation[:: max(1, math.ceil(len(validation) / VALIDATED))]


def _samples(task: UNetTask, records: Sequence[GlandImage]) -> list[LabelledImage]:
    """Read images of the kind with their classes."""
    store = task.images
    step = store.step(task.kind)
    # The boundary has the same width in micrometres at every resolution, but at least one pixel.
    width = max(1, round(task.run.objects.boundary_px / step))
    return [
        LabelledImage(store.network_input(one, task.kind), gland_classes(store.labels(one, step), width))
        for one in records
    ]
