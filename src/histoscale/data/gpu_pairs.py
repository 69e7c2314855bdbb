"""Training pairs that are made on the device, from high-resolution images that stay there as bytes.

The loader of `histoscale.data.pairs` is too slow for a GPU. A batch has one scale and one degradation.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from histoscale.data.pairs import ImageArray, Pair, PairRecipe, draw_sides, largest_side
from histoscale.errors import DataError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.degrade import degrade


class DevicePairs:
    """An endless sequence of batches; batch ``i`` is always the same on the same kind of device.

    Args:
        images: high-resolution images; the probability of each is proportional to its area.
        recipe: how to cut and degrade; noise and JPEG are not supported.
        batch: samples of this process per batch.
        seed: seed of the sequence; each process needs its own.
        device: the device of the images and of the batches.

    Raises:
        DataError: if the recipe needs noise, JPEG or a scale per sample, or if an image is too small.
    """

    def __init__(
        self, images: Sequence[ImageArray], recipe: PairRecipe, batch: int, seed: int, device: torch.device
    ):
        if recipe.noise_sigma or recipe.jpeg_share or recipe.scale_per == "sample":
            raise DataError(
                "Pairs that are made on the device have no noise, no JPEG and no scale per sample: "
                "set data.on_device = false, or leave these settings out."
            )
        largest_side(images, recipe)
        self.images = [torch.from_numpy(p.copy()).permute(2, 0, 1).to(device) for p in images]
        areas = np.array([p.shape[1] * p.shape[2] for p in self.images], dtype=np.float64)
        self._shares = areas / areas.sum()
        self.recipe, self.batch, self.seed, self.device = recipe, batch, seed, device

    def batches(self, start: int) -> Iterator[Pair]:
        """Yield the batches from number ``start`` on."""
        number = start
        while True:
            yield self.make(number)
            number += 1

    def make(self, number: int) -> Pair:
        """Make batch ``number``."""
        # One scale and one degradation for the whole batch, because a dense batch needs one size.
        rng = np.random.default_rng((self.seed, number))
        lr_px, hr_px = draw_sides(self.recipe, rng)
        kinds, shares = zip(*self.recipe.degradations.items(), strict=True)
        kind = kinds[int(rng.choice(len(kinds), p=np.array(shares) / sum(shares)))]
        hr = torch.stack([self._crop(hr_px, rng) for _ in range(self.batch)])
        lr = degrade(hr.float() / 255, (lr_px, lr_px), hr_px / lr_px, kind)
        cell = torch.full((self.batch, 2), lr_px / hr_px, dtype=torch.float64, device=self.device)
        target, positions = self._sample(hr, lr_px, rng)
        return Pair((lr * 255).round().to(torch.uint8), target, positions, cell)

    def _crop(self, side: int, rng: np.random.Generator) -> UInt8[Tensor, "3 H W"]:
        """Cut a random patch; flip and transpose it at random if the recipe says so."""
        image = self.images[int(rng.choice(len(self.images), p=self._shares))]
        top, left = (int(rng.integers(n - side + 1)) for n in image.shape[1:])
        patch = image[:, top : top + side, left : left + side]
        if not self.recipe.augment:
            return patch
        # Views of the image: no pixel is copied before the batch is stacked.
        flips = [axis for axis in (1, 2) if rng.random() < 0.5]
        return patch.flip(flips).transpose(1, 2) if rng.random() < 0.5 else patch.flip(flips)

    def _sample(
        self, hr: UInt8[Tensor, "b 3 H W"], lr_px: int, rng: np.random.Generator
    ) -> tuple[UInt8[Tensor, "..."], Tensor]:
        """Return the target and the positions of its pixels, see `Pair`."""
        side, queries = hr.shape[-1], self.recipe.queries
        if not queries:
            return hr, torch.empty(self.batch, 0, 2, dtype=torch.float64, device=self.device)
        count = min(queries, side * side)
        # Distinct pixels per patch, as row-major numbers [b, q]; the same ones for all colours.
        chosen = np.stack([rng.choice(side * side, size=count, replace=False) for _ in range(self.batch)])
        index = torch.from_numpy(chosen).to(self.device)
        axis = output_positions(side, lr_px).to(self.device)
        target = hr.flatten(2).gather(2, index[:, None].expand(-1, 3, -1)).transpose(1, 2)
        return target, torch.stack((axis[index // side], axis[index % side]), dim=2)
