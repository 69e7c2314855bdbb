"""The card of a gland segmentation run: trainings, images that each model was trained on, machine."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from histoscale import weights
from histoscale.experiments.downstream.config import NamedWeights
from histoscale.experiments.glands.config import GlandRun
from histoscale.experiments.glands.data import TEST, TRAIN, VALIDATION, GlandImage, leak, of_part
from histoscale.experiments.glands.scores import was_seen
from histoscale.experiments.glands.segmentation import build_unet
from histoscale.training.card import code_version


def describe_run(run: GlandRun, records: Sequence[GlandImage]) -> dict[str, Any]:
    """Describe a run for ``card.json``."""
    parts = dict.fromkeys((TRAIN, VALIDATION, *(record.part for record in of_part(records, TEST))))
    return {
        "name": run.name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {"histoscale": code_version(), "torch": torch.__version__},
        "run": json.loads(run.model_dump_json(exclude={"data": {"root"}})),
        "unet_parameters": sum(p.numel() for p in build_unet(run.network).parameters()),
        "images": {part: len(of_part(records, part)) for part in parts},
        "patients": {part: sorted({one.patient for one in of_part(records, part)}) for part in parts},
        "leak": leak(records),
        "models": [_describe_model(run, model, records) for model in run.models],
    }


def markdown(card: dict[str, Any]) -> str:
    """Write a card as Markdown, for ``card.md``."""
    run, training = card["run"], card["run"]["training"]
    parts = ", ".join(f"{count} {part}" for part, count in card["images"].items())
    shrink = run["network"]["shrink"]
    lines = [
        f"# {card['name']}",
        f"{card['date']}, {card['machine']}, histoscale {card['versions']['histoscale']}.",
        f"Images: {parts}; split: {run['data']['split']}. "
        + (card["leak"] or "No patient has images both in the training and in the test."),
        f"U-Net: MONAI, {card['unet_parameters']} parameters, trained for {training['steps']} steps of "
        f"{training['batch']} patches on each kind of images with each of the seeds "
        f"{', '.join(map(str, run['seeds']))}. The last weights are tested; no image selects them.",
        f"A U-Net reads originals and upscaled images downsampled by {shrink} (each pixel is the mean of "
        f"{shrink} x {shrink}) and low-resolution images unchanged. Its result is upsampled and compared "
        "with the annotation at full resolution."
        if shrink > 1
        else "",
        f"Low resolution is the original downsampled by {run['data']['scale']} by bicubic, without blur.",
        *map(_model_markdown, card["models"]),
    ]
    return "\n\n".join(filter(None, lines)) + "\n"


def _describe_model(run: GlandRun, model: NamedWeights, records: Sequence[GlandImage]) -> dict[str, Any]:
    described = weights.card(model.weights)
    seen = {}
    for side, part in (("training", TRAIN), ("test", TEST)):
        members = of_part(records, part)
        seen[side] = [sum(was_seen(run, record, model.label) == "yes" for record in members), len(members)]
    return {
        "label": model.label,
        "name": described.name,
        "sha256": described.sha256,
        "trained_on": [source.model_dump() for source in described.data],
        "seen": seen,
    }


def _model_markdown(model: dict[str, Any]) -> str:
    training, test = (f"{seen} of {total}" for seen, total in model["seen"].values())
    sources = "; ".join(f"{source['set']} {source['split']}".strip() for source in model["trained_on"])
    return (
        f"{model['label']}: weights {model['name']} ({model['sha256'][:12]}), trained on {sources}. These "
        f"include {training} training images of the U-Nets, and {test} test images."
    )
