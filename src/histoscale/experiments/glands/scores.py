"""The score of a trained U-Net on each test image: a line of ``scores.csv``, the source of all tables."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Int
from torch import nn

from histoscale import weights
from histoscale.experiments.glands.config import GlandRun, UNetSetting, kinds_tested
from histoscale.experiments.glands.data import TEST, GlandImage, ImageStore, find_glands, of_part
from histoscale.experiments.glands.segmentation import predict, separate
from histoscale.experiments.glands.training import UNetTask, load_network
from histoscale.metrics.objects import Agreement, agreement, detected

Size: TypeAlias = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = get_args(Size)
Measure: TypeAlias = Literal["f1", "dice", "hausdorff"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class GlandScore:
    """One test image in one setting, of one seed. The fields are the columns of the CSV.

    Attributes:
        part: part of the test.
        seen: whether the model that made the tested image was trained on its original: "yes", "no", or empty
            if no model made it.
        f1, dice, hausdorff: of this image, computed from the fields of `Agreement` that follow. If only one
            side has glands, their Hausdorff distance is the image's diagonal.
        glands_small, ...: number of annotated glands of each of `SIZES`.
        detected_small, ...: number of these that were found.
    """

    part: str
    image: str
    patient: str
    seed: int
    trained_on: str
    tested_on: str
    seen: str
    f1: float
    dice: float
    hausdorff: float
    true_positives: int
    false_positives: int
    false_negatives: int
    found_px: int
    true_px: int
    found_dice: float
    true_dice: float
    found_hausdorff: float
    true_hausdorff: float
    glands_small: int
    glands_medium: int
    glands_large: int
    detected_small: int
    detected_medium: int
    detected_large: int

    @classmethod
    def of(
        cls,
        record: GlandImage,
        seed: int,
        setting: UNetSetting,
        seen: str,
        sums: Agreement,
        sizes: Sequence[int],
    ) -> "GlandScore":
        """Make the score of an image.

        Args:
            sizes: number of annotated glands of each of `SIZES`, then of those that were found.
        """
        about = (record.part, record.id, record.patient, seed, *setting, seen)
        return cls(*about, *(getattr(sums, measure) for measure in MEASURES), *asdict(sums).values(), *sizes)

    @property
    def setting(self) -> UNetSetting:
        """The kinds of images that the network was trained and tested on."""
        return UNetSetting(self.trained_on, self.tested_on)

    @property
    def agreement(self) -> Agreement:
        """The sums that the measures are made of."""
        return Agreement(**{field.name: getattr(self, field.name) for field in fields(Agreement)})


def score_unet(task: UNetTask) -> list[GlandScore]:
    """Score a trained U-Net on every test image of every kind that it is tested on.

    Raises:
        InputError: if an image cannot be read.
        WeightsError: if the network is damaged.
    """
    network, tests = load_network(task), of_part(find_glands(task.run.data), TEST)
    return [
        score_image(task, network, record, kind)
        for kind in kinds_tested(task.kind, task.run.kinds)
        for record in tests
    ]


def score_image(task: UNetTask, network: nn.Module, record: GlandImage, kind: str) -> GlandScore:
    """Segment an image of a kind, and compare the result with the annotation at full resolution."""
    true = task.images.labels(record)
    found = segment(network, task.images, record, kind)
    sums = agreement(found, true, nothing_to_compare=math.hypot(*true.shape))
    areas, is_detected = detected(found, true)
    sizes = np.digitize(areas, task.run.objects.sizes_px)  # 0 small, 1 medium, 2 large
    counts = [*np.bincount(sizes, minlength=3), *np.bincount(sizes[is_detected], minlength=3)]
    seen = was_seen(task.run, record, kind)
    return GlandScore.of(
        record, task.seed, UNetSetting(task.kind, kind), seen, sums, [int(n) for n in counts]
    )


def segment(network: nn.Module, images: ImageStore, record: GlandImage, kind: str) -> Int[np.ndarray, "h w"]:
    """Segment an image of a kind with a trained network, at full resolution."""
    run = images.run
    height, width = images.labels(record).shape
    network_input = images.network_input(record, kind)
    probabilities = predict(network, network_input, (height, width), run.network.multiple_px)
    return separate(probabilities, run.objects.boundary_px, run.objects.smallest_px)


def was_seen(run: GlandRun, record: GlandImage, kind: str) -> str:
    """Say whether the model of a kind was trained on an image, by the data sets and splits on its card."""
    model = next((model for model in run.models if model.label == kind), None)
    if model is None:
        return ""
    sources = weights.card(model.weights).data
    return "yes" if any(s.set == record.set and s.split in ("", record.split) for s in sources) else "no"
