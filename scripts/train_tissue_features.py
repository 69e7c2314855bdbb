#!/usr/bin/env python3
"""Train the histoscale-tissue features: ``scripts/train_tissue_features.py OUT.safetensors``.

One network, two tasks on patches of the split `train`: name the kind of tissue, and say how strongly the
patch was blurred, resampled, made noisy and JPEG-compressed. Every batch is a function of the seed and its
number. Writes the features' weights (fp16) and their card; the heads of the two tasks are dropped.
"""

import csv
import hashlib
import json
import os
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageFilter
from safetensors.torch import save
from torch import Tensor, nn

from histoscale.data.pillow_degradation import add_noise, compress_jpeg, degrade, upscale_bicubic
from histoscale.files import atomic_write, write_text
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import count_parameters
from histoscale.models.extractors.tissue import TissueFeatures

Picture = UInt8[np.ndarray, "_ _ 3"]
SEED, STEPS, BATCH, RATE, WEIGHT_DECAY = 0, 3000, 48, 2e-3, 1e-2
PATCH_PX, CUT_PX = 64, 96
"""Side the network sees, and of the cut that is spoiled, so that no border of a filter is seen."""
SPOILT_SHARE = 0.5
"""Share of the patches that each of the four spoilers touches."""
BLUR_PX, RESAMPLING, NOISE, JPEG = 3.0, 4.0, 20.0, 90.0
"""Strongest blur sigma, factor, noise sigma in grey levels, and quality below 100: strengths of 1."""
STRENGTH_WEIGHT = 5.0
"""Of the strengths' absolute error beside the cross-entropy of the kind."""


class Batch(NamedTuple):
    """Patches, their kinds of tissue and the four strengths in [0, 1]."""

    patches: Float[Tensor, "b 3 h w"]
    kinds: Int[Tensor, " b"]
    strengths: Float[Tensor, "b 4"]


def read_kinds(root: Path, split: str) -> dict[str, list[Picture]]:
    """Pictures by kind: the organ, and for colon of GlaS benign or malignant."""
    kinds = defaultdict(list)
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        for row in csv.DictReader(manifest):
            if row["split"] == split:
                grade = row["label"].split(";")[0] if row["set"] == "glas" else ""
                kinds[f"{row['set']} {row['organ']} {grade}".strip()].append(read_rgb(root / row["file"]))
    return dict(sorted(kinds.items()))


def make_batch(kinds: dict[str, list[Picture]], number: int, seed: int = SEED) -> Batch:
    """Batch ``number``: kinds in equal shares, then pictures, then places."""
    rng = np.random.default_rng((seed, number))
    names, patches, strengths = list(kinds), [], []
    chosen = rng.integers(len(names), size=BATCH)
    for kind in chosen:
        pictures = kinds[names[kind]]
        cut = restain(cut_out(pictures[rng.integers(len(pictures))], rng), rng)
        strength = rng.uniform(size=4) * (rng.uniform(size=4) < SPOILT_SHARE)
        patches.append(spoil(cut, strength, rng))
        strengths.append(strength)
    margin = (CUT_PX - PATCH_PX) // 2
    inner = np.stack(patches)[:, margin:-margin, margin:-margin]
    pixels = torch.from_numpy(inner.astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
    return Batch(pixels, torch.from_numpy(chosen), torch.from_numpy(np.float32(strengths)))


def cut_out(picture: Picture, rng: np.random.Generator) -> Picture:
    """A square of `CUT_PX` anywhere, turned and mirrored at random."""
    top, left = (rng.integers(n - CUT_PX + 1) for n in picture.shape[:2])
    cut = np.rot90(picture[top : top + CUT_PX, left : left + CUT_PX], rng.integers(4))
    return np.ascontiguousarray(cut[:, :: rng.choice((-1, 1))])


def restain(cut: Picture, rng: np.random.Generator) -> Picture:
    """Optical densities scaled by up to 20 % a channel: other stains, same structure."""
    levels = np.arange(256)[:, None] / 255
    curves = np.rint(255 * levels ** rng.uniform(0.8, 1.2, size=3)).astype(np.uint8)
    return np.stack([curves[cut[..., c], c] for c in range(3)], axis=-1)


def spoil(cut: Picture, strength: np.ndarray, rng: np.random.Generator) -> Picture:
    """Blur, resample, add noise and compress, each as strongly as said; 0 leaves the pixels alone."""
    blur, resampling, noise, jpeg = strength.tolist()
    if blur:
        cut = np.asarray(Image.fromarray(cut).filter(ImageFilter.GaussianBlur(blur * BLUR_PX)))
    if resampling:
        factor = RESAMPLING**resampling
        side = round(CUT_PX / factor)
        cut = upscale_bicubic(degrade(cut, (side, side), factor, "none"), (CUT_PX, CUT_PX))
    if noise:
        cut = add_noise(cut, noise * NOISE, rng)
    if jpeg:
        cut = compress_jpeg(cut, round(100 - jpeg * JPEG), offset=tuple(rng.integers(8, size=2)))
    return cut


def errors(output: Float[Tensor, "b n"], batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the kind, and mean absolute error of the strengths."""
    kinds, strengths = output.float().split((output.shape[1] - 4, 4), dim=1)
    return nn.functional.cross_entropy(kinds, batch.kinds), (strengths - batch.strengths).abs().mean()


def train(kinds: dict[str, list[Picture]]) -> tuple[TissueFeatures, nn.Linear]:
    """The features and the head that reads both tasks from them, after `STEPS` batches."""
    torch.manual_seed(SEED)
    features, head = TissueFeatures(), nn.Linear(TissueFeatures.dimension, len(kinds) + 4)
    model = nn.Sequential(features, head).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        batch = make_batch(kinds, step)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch.patches.contiguous(memory_format=torch.channels_last))
        kind, strength = errors(output, batch)
        optimiser.zero_grad()
        (kind + STRENGTH_WEIGHT * strength).backward()
        optimiser.step()
        rate.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: kind {kind:.3f}, strength {strength:.3f}", flush=True)
    return features.eval(), head.eval()


@torch.inference_mode()
def validate(
    features: TissueFeatures, head: nn.Linear, kinds: dict[str, list[Picture]], names: list[str]
) -> dict[str, float]:
    """How well both tasks do on the split `val`, 40 batches of it."""
    ours, hits, errors_of = torch.tensor([names.index(kind) for kind in kinds]), [], []
    for number in range(40):
        batch = make_batch(kinds, number, SEED + 1)
        output = head(features(batch.patches))
        hits.append((output[:, :-4].argmax(1) == ours[batch.kinds]).float().mean())
        errors_of.append((output[:, -4:] - batch.strengths).abs().mean(0))
    labels = ("blur", "resampling", "noise", "jpeg")
    found = dict(zip(labels, torch.stack(errors_of).mean(0).tolist(), strict=True))
    figures = {f"val {label} mean absolute error": round(error, 3) for label, error in found.items()}
    return {"val kind accuracy": round(float(torch.stack(hits).mean()), 3), **figures}


def make_card(
    content: bytes, kinds: dict[str, list[Picture]], metrics: dict[str, float]
) -> dict[str, object]:
    """What these weights are, where they came from and what they may be used for."""
    images = Counter(kind.split()[0] for kind, pictures in kinds.items() for _ in pictures)
    licences = {"glas": "research only, no commercial use", "monuseg": "CC BY-NC-SA 4.0"}
    recipe = {"seed": SEED, "batch": BATCH, "patch_px": PATCH_PX, "rate": RATE, "weight_decay": WEIGHT_DECAY}
    return {
        "name": TissueFeatures.name,
        "architecture": {"name": "TissueFeatures", "arguments": {}},
        "parameters": count_parameters(TissueFeatures()),
        "data": [
            {"set": name, "split": "train", "images": n, "licence": licences[name]}
            for name, n in images.items()
        ],
        "kinds": list(kinds),
        "licence": "research only (LICENSE-WEIGHTS)",
        "limits": [
            "Distances in these features are comparable with each other only; none of them is an FID.",
            "Trained on H&E of seven organs at 0.25 and 0.62 um per pixel.",
        ],
        "metrics": metrics,
        "recipe": {"script": "scripts/train_tissue_features.py", **recipe},
        "budget": {"steps": STEPS, "seconds": round(time.process_time()), "threads": 1},
        "code_version": version("histoscale"),
        "created": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "stored": "fp16",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    """Train, validate, write weights and card."""
    target, root = Path(sys.argv[1]), Path(os.environ["HISTOSCALE_DATA"])
    torch.set_num_threads(1)
    kinds = read_kinds(root, "train")
    features, head = train(kinds)
    metrics = validate(features, head, read_kinds(root, "val"), list(kinds))
    stored = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in features.to(memory_format=torch.contiguous_format).state_dict().items()
    }
    content = save(stored)
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)
    card = make_card(content, kinds, metrics)
    write_text(target.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    print(metrics)


if __name__ == "__main__":
    main()
