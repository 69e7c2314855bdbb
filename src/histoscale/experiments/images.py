"""The images of an experiment, their low-resolution versions, and the images that methods make of these.

Pillow downsamples the whole high-resolution image to sides of ``floor(side / scale)``. The ground truth is
the top left part of the size that these sides are upscaled to. Bicubic is treated as the models are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from histoscale.data.manifest import ImageRecord, centre_crop, find_images
from histoscale.data.pillow_degradation import degrade, upscale_bicubic
from histoscale.errors import ConfigError, DataError, InputError, ScaleError
from histoscale.experiments.methods import BICUBIC
from histoscale.imaging.arrays import to_uint8
from histoscale.imaging.coords import rounded_size
from histoscale.imaging.degrade import DEGRADATIONS, Degradation
from histoscale.imaging.resize import bicubic_resize
from histoscale.inference import upscale
from histoscale.io.image_reader import read_labels, read_rgb, read_size
from histoscale.metrics.psnr import shave_px
from histoscale.models.base import SuperResolver
from histoscale.resources import Precision

RgbImage = UInt8[np.ndarray, "_ _ 3"]
RgbBatch = UInt8[np.ndarray, "_ _ _ 3"]


@dataclass(frozen=True)
class ImageSelection:
    """The images of an experiment, and how they are downsampled.

    Attributes:
        data: a manifest or its folder, a folder of images, or one image.
        sets: data sets of the manifest; all if empty.
        split: of the manifest; all if empty.
        degradations: how images are downsampled, see `histoscale.imaging.degrade`.
        limit: largest number of images of each data set, evenly spread over it; None for all.
        crop_px: side of the central crop that is used of each image; None for the whole image.
    """

    data: Path
    sets: tuple[str, ...] = ()
    split: str = "test"
    degradations: tuple[str, ...] = ("B",)
    limit: int | None = None
    crop_px: int | None = None

    def records(self) -> list[ImageRecord]:
        """List the images, in a fixed order.

        Raises:
            DataError: if there is no image, or no such data set or split.
        """
        return spread(find_images(self.data, self.sets, self.split), self.limit)

    def cases(self, scales: Sequence[float]) -> list["Case"]:
        """List every image with every degradation and scale; all are large enough to be scored.

        Raises:
            DataError: as `records`, or if two images of a set share a name or one cannot be read.
            ScaleError: if a scale is below 1 or no number.
            ConfigError: if a degradation is unknown.
            InputError: if an image is too small to be scored.
        """
        cases = plan_cases(self.records(), scales, self.degradations, self.crop_px)
        check_sizes(cases)
        return cases


@dataclass(frozen=True)
class Case:
    """One image, or its central crop, that is downsampled and upscaled again."""

    record: ImageRecord
    degradation: Degradation
    scale: float
    crop_px: int | None = None

    def pair(self) -> tuple[RgbImage, RgbImage]:
        """Make the low-resolution image and the ground truth.

        Raises:
            InputError: if the image cannot be read or is too small.
        """
        image = centre_crop(read_rgb(self.record.path), self.crop_px)
        try:
            return make_pair(image, self.scale, self.degradation)
        except InputError as error:
            raise InputError(f"{self.record.path} cannot be used at x{self.scale:g}: {error}") from None


def plan_cases(
    records: Sequence[ImageRecord],
    scales: Sequence[float],
    degradations: Sequence[str],
    crop_px: int | None = None,
) -> list[Case]:
    """List every image with every degradation and scale.

    Raises:
        ScaleError: if a scale is below 1 or no number.
        ConfigError: if a degradation is unknown.
        DataError: if two images of one set share a name.
    """
    for scale in scales:
        check_scale(scale)
    seen: dict[tuple[str, str], ImageRecord] = {}
    for record in records:
        twin = seen.setdefault((record.set, record.id), record)
        if twin is not record:
            raise DataError(f"{twin.path} and {record.path} have the same name in one data set: rename one.")
    pairs = [
        (kind, float(scale))
        for kind in map(known_degradation, dict.fromkeys(degradations))
        for scale in dict.fromkeys(scales)
    ]
    return [Case(record, kind, scale, crop_px) for record in records for kind, scale in pairs]


def check_scale(scale: float) -> None:
    """Make sure that a scale is a number of at least 1.

    Raises:
        ScaleError: if it is not.
    """
    if not (math.isfinite(scale) and scale >= 1):
        raise ScaleError(f"A scale must be at least 1, but found {scale:g}.")


def known_degradation(name: str) -> Degradation:
    """Find a degradation by its name.

    Raises:
        ConfigError: if there is no such degradation.
    """
    for known in DEGRADATIONS:
        if name == known:
            return known
    raise ConfigError(f"Unknown degradation {name}: choose {', '.join(DEGRADATIONS)}.")


def check_sizes(cases: Sequence[Case]) -> None:
    """Refuse images that are too small to be scored, before hours of work.

    Raises:
        InputError: if an image cannot be read or is too small.
    """
    sizes = {path: read_size(path) for path in dict.fromkeys(case.record.path for case in cases)}
    for case in cases:
        height, width = (min(side, case.crop_px or side) for side in sizes[case.record.path])
        _, kept = pair_sizes((height, width), case.scale)
        least = 2 * shave_px(case.scale)
        if min(kept) <= least:
            raise InputError(
                f"{case.record.path} cannot be scored at x{case.scale:g}: both sides must be longer than "
                f"{least} pixels, but it has {height} x {width}."
            )


def spread(records: Sequence[ImageRecord], limit: int | None) -> list[ImageRecord]:
    """Choose at most ``limit`` images of each data set, evenly spread over it; all if ``limit`` is None."""
    chosen = []
    for name in dict.fromkeys(record.set for record in records):
        members = [record for record in records if record.set == name]
        n = len(members) if limit is None else min(limit, len(members))
        chosen += [members[index * len(members) // n] for index in range(n)]
    return chosen


def read_mask(mask: Path, image: Path) -> Int[np.ndarray, "h w"]:
    """Read the label image that annotates an image.

    Raises:
        InputError: if a file cannot be read.
        DataError: if their sizes differ.
    """
    labels, size = read_labels(mask), read_size(image)
    if labels.shape != size:
        sizes = [f"{height} x {width}" for height, width in (labels.shape, size)]
        raise DataError(f"{mask} has {sizes[0]} pixels, but its image {image} has {sizes[1]}.")
    return labels


def pair_sizes(size: tuple[int, int], scale: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Compute height and width of the low-resolution image, and of the image that it is upscaled to."""
    # A quotient that should be whole may be rounded to slightly less, such as 33 / 1.1 = 29.999999999999996.
    height, width = (math.floor(side / scale + 1e-9) for side in size)
    return (height, width), (rounded_size(height, scale), rounded_size(width, scale))


def make_pair(image: RgbImage, scale: float, degradation: Degradation) -> tuple[RgbImage, RgbImage]:
    """Make the low-resolution image and the ground truth that it is upscaled to.

    Raises:
        InputError: if the image is too small for the scale.
    """
    lr_size, (height, width) = pair_sizes((image.shape[0], image.shape[1]), scale)
    if min(lr_size) < 1:
        raise InputError(
            f"An image of {image.shape[0]} x {image.shape[1]} pixels is too small: both sides need at least "
            f"{math.ceil(scale)} pixels."
        )
    truth = np.ascontiguousarray(image[:height, :width])
    return degrade(truth, lr_size, scale, degradation), truth


class Upscaled(NamedTuple):
    """The image of a method: floats, not clipped, and bytes; None if the method cannot make the size."""

    method: str
    floats: Float[np.ndarray, "H W 3"] | None
    bytes: RgbImage | None


def upscale_each(
    lr: RgbImage,
    size: tuple[int, int],
    models: Mapping[str, SuperResolver],
    precision: Precision = "fp32",
    device: torch.device | str = "cpu",
) -> Iterator[Upscaled]:
    """Upscale ``lr`` to ``size`` (height, width) by bicubic and then by each model.

    Args:
        models: by name.
    """
    image = as_batch(lr[None]).contiguous()
    # The bytes are Pillow's, which also rounds between its two passes; Pillow makes no floats.
    yield Upscaled(BICUBIC, _floats(bicubic_resize(image, size)), upscale_bicubic(lr, size))
    for name, model in models.items():
        try:
            pixels = upscale(model, image, size, precision=precision, device=device)
        except ScaleError:
            yield Upscaled(name, None, None)
        else:
            yield Upscaled(name, _floats(pixels), as_pixels(pixels)[0])


def _floats(batch: Float[Tensor, "1 3 H W"]) -> Float[np.ndarray, "H W 3"]:
    return batch[0].permute(1, 2, 0).contiguous().numpy()


def as_batch(pixels: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Images of one size as a model's input: floats in [0, 1], channels last in memory."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2) / 255


def as_pixels(batch: Float[Tensor, "b 3 h w"]) -> UInt8[np.ndarray, "b h w 3"]:
    """A model's output as images: clipped to [0, 1] and rounded to 256 levels."""
    return to_uint8(batch).permute(0, 2, 3, 1).contiguous().cpu().numpy()
