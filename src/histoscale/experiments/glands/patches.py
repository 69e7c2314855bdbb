"""Patches to learn from: cut, turned, flipped and tinted at random, the same for the same seed and step."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from histoscale.experiments.glands.segmentation import as_batch
from histoscale.experiments.images import Picture

CONTRAST, BRIGHTNESS = 0.15, 12.0
"""A colour is multiplied by 1 and shifted by 0 grey levels, each up to so much more or less."""


class Sample(NamedTuple):
    """A picture and its classes."""

    picture: Picture
    classes: UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Patches:
    """Batches of patches of some samples.

    Args:
        samples: whole pictures, of any size.
        side_px: of a patch; what is smaller is repeated at its border.
    """

    samples: list[Sample]
    side_px: int
    batch: int
    seed: int

    def at(self, step: int) -> tuple[Float[Tensor, "b 3 p p"], Int[Tensor, "b 1 p p"]]:
        """The batch of a step and its classes."""
        rng = np.random.default_rng((self.seed, step))
        patches = [self._patch(rng) for _ in range(self.batch)]
        classes = torch.from_numpy(np.stack([patch.classes for patch in patches]).astype(np.int64))
        return as_batch([patch.picture for patch in patches]), classes[:, None]

    def _patch(self, rng: np.random.Generator) -> Sample:
        sample = self.samples[int(rng.integers(len(self.samples)))]
        picture, classes = _padded(sample, self.side_px)
        top, left = (int(rng.integers(n - self.side_px + 1)) for n in classes.shape)
        rows, cols = slice(top, top + self.side_px), slice(left, left + self.side_px)
        picture, classes = picture[rows, cols], classes[rows, cols]
        turns, is_flipped = int(rng.integers(4)), bool(rng.integers(2))
        picture, classes = np.rot90(picture, turns), np.rot90(classes, turns)
        if is_flipped:
            picture, classes = picture[:, ::-1], classes[:, ::-1]
        return Sample(_tinted(picture, rng), np.ascontiguousarray(classes))


def _padded(sample: Sample, side_px: int) -> Sample:
    """The sample, at least ``side_px`` pixels a side."""
    below, right = (max(0, side_px - n) for n in sample.classes.shape)
    if not (below or right):
        return sample
    pad = ((0, below), (0, right))
    return Sample(
        np.pad(sample.picture, (*pad, (0, 0)), mode="edge"), np.pad(sample.classes, pad, mode="edge")
    )


def _tinted(picture: Picture, rng: np.random.Generator) -> Picture:
    """Other staining: every colour with a contrast and brightness of its own."""
    factor = 1 + rng.uniform(-CONTRAST, CONTRAST, 3)
    shift = rng.uniform(-BRIGHTNESS, BRIGHTNESS, 3)
    return np.clip(np.rint(picture * factor + shift), 0, 255).astype(np.uint8)
