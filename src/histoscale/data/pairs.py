"""Pairs of low- and high-resolution patches. Each pair is a pure function of the seed and its number.

A run is therefore the same with any number of workers, and a resumed run gets the same pairs as an
uninterrupted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from histoscale.data.pillow_degradation import add_noise, compress_jpeg, degrade
from histoscale.errors import DataError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.degrade import Degradation

ImageArray = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class PairRecipe:
    """How pairs are cut and degraded.

    Attributes:
        scale_range: bounds of the uniform distribution of the scale.
        scales: draw from this list instead, if it is not empty.
        scale_per: draw the scale once per "batch" (dense grids need it) or per "sample".
        patch_px: side of the low-resolution patch.
        largest_hr_px: largest side of the high-resolution patch; at large scales the patch is smaller.
        queries: high-resolution pixels sampled per patch; 0 for the whole grid.
        degradations: share of each degradation.
        noise_sigma, jpeg_share, jpeg_quality: upper bound of added noise in grey levels; share of patches
            that pass through JPEG, and the range of its quality.
        augment: flip and transpose patches at random.
    """

    scale_range: tuple[float, float] = (1.0, 4.0)
    scales: tuple[float, ...] = ()
    scale_per: str = "batch"
    patch_px: int = 48
    largest_hr_px: int = 192
    queries: int = 0
    degradations: dict[Degradation, float] = field(default_factory=lambda: {"B": 1.0})
    noise_sigma: float = 0.0
    jpeg_share: float = 0.0
    jpeg_quality: tuple[int, int] = (70, 95)
    augment: bool = True


class Pair(NamedTuple):
    """A patch pair; a batch of them has a leading axis on every entry.

    Attributes:
        lr: 8-bit low-resolution patch, channels first.
        target: 8-bit RGB: the whole high-resolution patch (3 H W), or the sampled pixels (q 3).
        positions: where the sampled pixels lie, in low-resolution pixels; empty for a whole patch.
        cell: size of a high-resolution pixel in low-resolution pixels.
    """

    lr: UInt8[Tensor, "*b 3 h w"]
    target: UInt8[Tensor, "..."]
    positions: Float[Tensor, "*b q 2"]
    cell: Float[Tensor, "*b 2"]


class PairDataset(Dataset[Pair]):
    """An endless sequence of pairs; pair ``i`` is always the same.

    Args:
        images: high-resolution images; the probability of each is proportional to its area.
        recipe: how to cut and degrade.
        batch: samples that have the same scale if the recipe draws the scale per batch.
        seed: seed of the sequence.

    Raises:
        DataError: if an image is too small.
    """

    def __init__(self, images: Sequence[ImageArray], recipe: PairRecipe, batch: int, seed: int):
        self.images = images
        self.recipe = recipe
        self.batch = batch
        self.seed = seed
        areas = np.array([p.shape[0] * p.shape[1] for p in images], dtype=np.float64)
        self._cumulative = np.cumsum(areas / areas.sum())
        largest_side(images, recipe)

    def __getitem__(self, number: int) -> Pair:
        """Make pair ``number``."""
        # Separate random numbers for scale, patch and degradation, each from the seed and a number.
        rng = np.random.default_rng((self.seed, 1, number))
        group = number // self.batch if self.recipe.scale_per == "batch" else number
        lr_px, hr_px = draw_sides(self.recipe, np.random.default_rng((self.seed, 0, group)))
        hr = self._crop(hr_px, rng)
        lr = self._degraded(hr, lr_px, np.random.default_rng((self.seed, 2, number)))
        if self.recipe.augment:
            lr, hr = augment(lr, hr, rng)
        target, positions = self._sample(hr, lr_px, rng)
        # Output pixels are square: one size for both axes.
        cell = torch.full((2,), lr_px / hr_px, dtype=torch.float64)
        return Pair(channels_first(lr), target, positions, cell)

    def _crop(self, side: int, rng: np.random.Generator) -> ImageArray:
        """Cut a random patch; the probability of an image is proportional to its area."""
        chosen = min(int(np.searchsorted(self._cumulative, rng.random())), len(self.images) - 1)
        image = self.images[chosen]
        top = int(rng.integers(image.shape[0] - side + 1))
        left = int(rng.integers(image.shape[1] - side + 1))
        return image[top : top + side, left : left + side]

    def _degraded(self, hr: ImageArray, lr_px: int, rng: np.random.Generator) -> ImageArray:
        """Make the low-resolution patch by a random degradation, with noise and JPEG as in the recipe."""
        recipe = self.recipe
        # The kind of degradation, with the probabilities of the recipe.
        kinds, shares = zip(*recipe.degradations.items(), strict=True)
        kind = kinds[int(rng.choice(len(kinds), p=np.array(shares) / sum(shares)))]
        lr = degrade(np.ascontiguousarray(hr), (lr_px, lr_px), hr.shape[0] / lr_px, kind)
        if recipe.noise_sigma > 0:
            lr = add_noise(lr, rng.uniform(0, recipe.noise_sigma), rng)
        if recipe.jpeg_share > 0 and rng.random() < recipe.jpeg_share:
            quality = int(rng.integers(recipe.jpeg_quality[0], recipe.jpeg_quality[1] + 1))
            top, left = (
                int(n) for n in rng.integers(8, size=2)
            )  # a patch may start anywhere in a JPEG block
            lr = compress_jpeg(lr, quality, (top, left), subsampling=int(rng.choice((0, 2))))
        return lr

    def _sample(
        self, hr: ImageArray, lr_px: int, rng: np.random.Generator
    ) -> tuple[UInt8[Tensor, "..."], Float[Tensor, "q 2"]]:
        """Return the target and the positions of its pixels, see `Pair`."""
        if not self.recipe.queries:
            return channels_first(hr), torch.empty(0, 2, dtype=torch.float64)
        side = hr.shape[0]
        # Distinct pixels of the patch, as their row-major numbers.
        chosen = rng.choice(side * side, size=min(self.recipe.queries, side * side), replace=False)
        axis = output_positions(side, lr_px)
        row, col = np.divmod(chosen, side)
        return torch.from_numpy(hr[row, col]), torch.stack((axis[row], axis[col]), dim=1)


def draw_sides(recipe: PairRecipe, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a scale and return the sides of the low- and of the high-resolution patch."""
    scale = float(rng.choice(recipe.scales)) if recipe.scales else float(rng.uniform(*recipe.scale_range))
    # A large scale gets a smaller low-resolution patch, so that its target fits `largest_hr_px`.
    lr_px = min(recipe.patch_px, int(recipe.largest_hr_px / scale))
    return lr_px, round(lr_px * scale)


def largest_side(images: Sequence[ImageArray], recipe: PairRecipe, names: Sequence[object] = ()) -> int:
    """Compute the side of the largest high-resolution patch and check that every image is as large.

    Args:
        images: the images that patches are cut from.
        recipe: the size of the patches.
        names: names of the images for the message.

    Raises:
        DataError: if an image is smaller.
    """
    side = round(min(recipe.patch_px * max(recipe.scales or recipe.scale_range), recipe.largest_hr_px))
    for number, image in enumerate(images):
        if min(image.shape[:2]) < side:
            name = names[number] if names else "an image"
            raise DataError(
                f"{name} is {image.shape[1]} x {image.shape[0]} pixels, smaller than the patches of "
                f"{side} pixels: leave it out, or lower data.patch_px or data.largest_hr_px."
            )
    return side


def augment(lr: ImageArray, hr: ImageArray, rng: np.random.Generator) -> tuple[ImageArray, ImageArray]:
    """Flip vertically, horizontally and transpose, each with probability 1/2, both patches alike."""
    flips = rng.random(3) < 0.5
    for on, move in zip(flips, (np.flipud, np.fliplr, lambda p: p.transpose(1, 0, 2)), strict=True):
        if on:
            lr, hr = move(lr), move(hr)
    return lr, hr


def channels_first(image: ImageArray) -> UInt8[Tensor, "3 h w"]:
    """Convert a NumPy array H x W x 3 to a tensor 3 x H x W."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
