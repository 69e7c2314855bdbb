"""What stands behind the tables: who was trained on what, which images a model had seen, on which machine."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from histoscale import weights
from histoscale.experiments.glands.config import Enlarger, GlandRun
from histoscale.experiments.glands.data import TEST, TRAIN, VALIDATION, GlandImage, leak, of_part
from histoscale.experiments.glands.scoring import was_seen
from histoscale.experiments.glands.segmentation import build_unet
from histoscale.training.card import code_version


def card(run: GlandRun, images: Sequence[GlandImage]) -> dict[str, Any]:
    """The run as JSON holds it."""
    tests = list(dict.fromkeys(image.part for image in of_part(images, TEST)))
    return {
        "name": run.name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {"histoscale": code_version(), "torch": torch.__version__},
        "run": json.loads(run.model_dump_json(exclude={"data": {"root"}})),
        "unet_parameters": sum(p.numel() for p in build_unet(run.network).parameters()),
        "images": {part: len(of_part(images, part)) for part in (TRAIN, VALIDATION, *tests)},
        "patients": {part: _patients(images, part) for part in (TRAIN, VALIDATION, *tests)},
        "leak": leak(images),
        "models": [_model(run, model, images) for model in run.models],
    }


def in_words(described: dict[str, Any]) -> str:
    """The card for people, as Markdown."""
    run, images = described["run"], described["images"]
    training = run["training"]
    parts = ", ".join(f"{count} {part}" for part, count in images.items())
    lines = [
        f"# {described['name']}",
        f"{described['date']}, {described['machine']}, histoscale {described['versions']['histoscale']}.",
        f"Images: {parts}; split: {run['data']['split']}. "
        + (described["leak"] or "No patient is both in training and in the test."),
        f"U-Net: MONAI, {described['unet_parameters']} parameters, trained for {training['steps']} steps of "
        f"{training['batch']} patches on each kind of images with each of the seeds "
        f"{', '.join(map(str, run['seeds']))}. The last weights are tested; no image chose them.",
        *_shrunk_in_words(run["network"]["shrink"]),
        f"Low resolution is the original made {run['data']['scale']} times smaller by bicubic, without blur.",
        *map(_model_in_words, described["models"]),
    ]
    return "\n\n".join(lines) + "\n"


def _shrunk_in_words(shrink: int) -> list[str]:
    if shrink == 1:
        return []
    return [
        f"Every U-Net sees originals and enlarged images {shrink} times smaller, each pixel the mean of "
        f"{shrink} x {shrink}, and low resolution as it is; what it finds is enlarged again and compared at "
        "full resolution."
    ]


def _patients(images: Sequence[GlandImage], part: str) -> list[str]:
    return sorted({image.patient for image in of_part(images, part)})


def _model(run: GlandRun, model: Enlarger, images: Sequence[GlandImage]) -> dict[str, Any]:
    described = weights.card(model.weights)
    sides = {"training": of_part(images, TRAIN), "test": of_part(images, TEST)}
    return {
        "label": model.label,
        "name": described.name,
        "sha256": described.sha256,
        "trained_on": [source.model_dump() for source in described.data],
        "seen": {
            side: [len([i for i in some if was_seen(run, i, model.label) == "yes"]), len(some)]
            for side, some in sides.items()
        },
    }


def _model_in_words(model: dict[str, Any]) -> str:
    training, test = (f"{seen} of {total}" for seen, total in model["seen"].values())
    sources = "; ".join(f"{source['set']} {source['split']}".strip() for source in model["trained_on"])
    return (
        f"{model['label']}: weights {model['name']} ({model['sha256'][:12]}), trained on {sources}. Of the "
        f"images here it saw {training} that the U-Nets learned from and {test} that they are tested on."
    )
