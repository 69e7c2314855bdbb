"""A trained U-Net on every test image of every kind it is tested on."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from torch import nn

from histoscale import weights
from histoscale.experiments.glands.config import GlandRun, kinds_tested
from histoscale.experiments.glands.data import TEST, GlandImage, Pictures, of_part
from histoscale.experiments.glands.results import GlandScore
from histoscale.experiments.glands.segmentation import separate
from histoscale.experiments.glands.training import Task, load_network
from histoscale.metrics.objects import agreement, detected


def score_unet(task: Task, pictures: Pictures, images: Sequence[GlandImage]) -> list[GlandScore]:
    """The scores of a finished training.

    Raises:
        DataError: if an image cannot be read.
        WeightsError: if the network is damaged.
    """
    network = load_network(task)
    return [
        score_image(task, network, pictures, image, kind)
        for kind in kinds_tested(task.kind, task.run.kinds)
        for image in of_part(images, TEST)
    ]


def score_image(
    task: Task, network: nn.Module, pictures: Pictures, image: GlandImage, kind: str
) -> GlandScore:
    """What a network finds on one image of a kind, against the annotation at full resolution."""
    true = pictures.labels(image)
    found = find(network, pictures, image, kind, task.run)
    areas, is_detected = detected(found, true)
    sizes = task.run.objects.sizes_px
    return GlandScore(
        part=image.part,
        image=image.id,
        patient=image.patient,
        seed=task.seed,
        trained_on=task.kind,
        tested_on=kind,
        seen=was_seen(task.run, image, kind),
        agreement=agreement(found, true, nothing_to_compare=math.hypot(*true.shape)),
        glands=by_size(areas, np.ones_like(is_detected), sizes),
        detected=by_size(areas, is_detected, sizes),
    )


def find(
    network: nn.Module, pictures: Pictures, image: GlandImage, kind: str, run: GlandRun
) -> Int[np.ndarray, "h w"]:
    """The glands that a network finds on an image of a kind, at full resolution."""
    from histoscale.experiments.glands.segmentation import predict

    size = pictures.labels(image).shape
    probabilities = predict(network, pictures.seen(image, kind), (size[0], size[1]), run.network.multiple_px)
    return separate(probabilities, run.objects.boundary_px, run.objects.smallest_px)


def by_size(
    areas: Int[np.ndarray, " n"], counted: Bool[np.ndarray, " n"], sizes_px: tuple[int, int]
) -> tuple[int, int, int]:
    """How many of those that count are small, medium and large."""
    small, medium, large = np.bincount(np.digitize(areas[counted], sizes_px), minlength=3)
    return int(small), int(medium), int(large)


def was_seen(run: GlandRun, image: GlandImage, kind: str) -> str:
    """Whether the model of a kind was trained on an image, by the sets and splits on its card."""
    for model in run.models:
        if model.label == kind:
            sources = weights.card(model.weights).data
            return (
                "yes" if any(s.set == image.set and s.split in ("", image.split) for s in sources) else "no"
            )
    return ""
