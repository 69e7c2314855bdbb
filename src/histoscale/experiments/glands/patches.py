"""Training patches, cropped, rotated, flipped and tinted at random; seed and step determine them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from histoscale.experiments.downstream.training import normalised
from histoscale.experiments.images import RgbImage, as_batch

CONTRAST, BRIGHTNESS = 0.15, 12.0
"""Largest relative change of a colour, and its largest shift in grey levels."""


class LabelledImage(NamedTuple):
    """An image and its classes."""

    image: RgbImage
    classes: UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class PatchSampler:
    """Makes batches of patches.

    Args:
        samples: whole images, of any size.
        side_px: side of a patch; smaller images are padded by repeating their border.
    """

    samples: list[LabelledImage]
    side_px: int
    batch: int
    seed: int

    def at(self, step: int) -> tuple[Float[Tensor, "b 3 p p"], Int[Tensor, "b 1 p p"]]:
        """Make the batch of a step and its classes."""
        rng = np.random.default_rng((self.seed, step))
        patches = [self._patch(rng) for _ in range(self.batch)]
        classes = torch.from_numpy(np.stack([patch.classes for patch in patches]).astype(np.int64))
        return normalised(as_batch(np.stack([patch.image for patch in patches]))), classes[:, None]

    def _patch(self, rng: np.random.Generator) -> LabelledImage:
        sample = self.samples[int(rng.integers(len(self.samples)))]
        image, classes = _padded(sample, self.side_px)
        top, left = (int(rng.integers(n - self.side_px + 1)) for n in classes.shape)
        rows, cols = slice(top, top + self.side_px), slice(left, left + self.side_px)
        image, classes = image[rows, cols], classes[rows, cols]
        turns, is_flipped = int(rng.integers(4)), bool(rng.integers(2))
        image, classes = np.rot90(image, turns), np.rot90(classes, turns)
        if is_flipped:
            image, classes = image[:, ::-1], classes[:, ::-1]
        return LabelledImage(_tinted(image, rng), np.ascontiguousarray(classes))


def _padded(sample: LabelledImage, side_px: int) -> LabelledImage:
    """Pad a sample to at least ``side_px`` pixels a side."""
    below, right = (max(0, side_px - n) for n in sample.classes.shape)
    if not (below or right):
        return sample
    pad = ((0, below), (0, right))
    return LabelledImage(
        np.pad(sample.image, (*pad, (0, 0)), mode="edge"), np.pad(sample.classes, pad, mode="edge")
    )


def _tinted(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Imitate another staining: change contrast and brightness of each colour."""
    factor = 1 + rng.uniform(-CONTRAST, CONTRAST, 3)
    shift = rng.uniform(-BRIGHTNESS, BRIGHTNESS, 3)
    return np.clip(np.rint(image * factor + shift), 0, 255).astype(np.uint8)
