"""The part of an image that a figure shows, chosen by a rule from the original alone."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from histoscale.data.manifest import ImageRecord
from histoscale.errors import InputError
from histoscale.experiments.images import RgbImage, make_pair
from histoscale.imaging.degrade import Degradation
from histoscale.io.image_reader import read_rgb

RULE = "the window with the greatest mean gradient of the original, found by the program"
"""How crops and details are chosen, for captions."""


class Window(NamedTuple):
    """A square of an image, in its pixels."""

    top: int
    left: int
    side_px: int

    def of(self, image: RgbImage) -> RgbImage:
        """Cut the square out of an image."""
        return image[self.top : self.top + self.side_px, self.left : self.left + self.side_px]


@dataclass(frozen=True)
class Scene:
    """The part of one image that figures show.

    Attributes:
        original: its pixels at high resolution.
        mpp: micrometres per pixel of the original; None if unknown.
    """

    record: ImageRecord
    window: Window
    original: RgbImage
    mpp: float | None

    @property
    def name(self) -> str:
        """Data set and image."""
        return f"{self.record.set} {self.record.id}"

    def describe(self) -> str:
        """Write image, crop and resolution, for a caption."""
        top, left, side = self.window
        size = f"{side} x {side} px at x {left}, y {top}"
        return f"{self.name}: {size}" + (f", {self.mpp:g} µm per pixel" if self.mpp else "")


class CropPair(NamedTuple):
    """A downsampled scene and its ground truth."""

    lr: RgbImage
    truth: RgbImage

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the ground truth."""
        return self.truth.shape[0], self.truth.shape[1]


def open_scene(record: ImageRecord, crop_px: int, mpp: float | None = None) -> Scene:
    """Cut the ``crop_px`` x ``crop_px`` pixels with the strongest edges out of an image.

    Args:
        mpp: of images that do not state it.

    Raises:
        InputError: if the image cannot be read or is smaller than the crop.
    """
    image = read_rgb(record.path)
    if min(image.shape[:2]) < crop_px:
        raise InputError(
            f"{record.path} has {image.shape[1]} x {image.shape[0]} pixels and is smaller than the crop of "
            f"{crop_px} x {crop_px}: choose a smaller --crop or other images."
        )
    window = strongest_edges(image, crop_px)
    return Scene(record, window, window.of(image), stated_mpp(record.mpp) or mpp)


def pair_of(scene: Scene, scale: float, degradation: Degradation) -> CropPair:
    """Downsample a scene, and crop its ground truth to match."""
    return CropPair(*make_pair(scene.original, scale, degradation))


def strongest_edges(image: RgbImage, side_px: int) -> Window:
    """Find the square window of greatest mean gradient magnitude; the first of several."""
    # sums[i, j] is the sum over the rows before i and the columns before j, with a first row and column of 0.
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    sums[1:, 1:] = gradient(image).cumsum(axis=0).cumsum(axis=1)
    n = side_px
    # Four of these give the sum of any window. All windows have the same size, so sums compare as means.
    inside = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return Window(int(top), int(left), n)


def gradient(image: RgbImage) -> Float[np.ndarray, "_ _"]:
    """Compute the gradient magnitude of the mean of the three colours, in grey levels per pixel."""
    rows, cols = np.gradient(image.mean(axis=2))
    magnitude: np.ndarray = np.hypot(rows, cols)
    return magnitude


def stated_mpp(text: str) -> float | None:
    """Read the number that a manifest's ``mpp`` starts with, as in ``0.25 (40x, nominal)``."""
    number = re.match(r"\d*\.?\d+", text.strip())
    return float(number[0]) or None if number else None
