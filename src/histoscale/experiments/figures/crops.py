"""Which part of an image a figure shows: chosen by a rule from the original alone, never by eye."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from histoscale.data.manifest import ImageRecord, read_rgb
from histoscale.errors import InputError
from histoscale.experiments.images import Picture, make_pair
from histoscale.imaging.degrade import Degradation

RULE = "the window with the strongest mean gradient of the original, found by the program"
"""How a crop and a boxed detail are chosen, in words for captions."""


class Window(NamedTuple):
    """A square of a picture, in its pixels."""

    top: int
    left: int
    side_px: int

    def of(self, picture: Picture) -> Picture:
        """The pixels inside."""
        return picture[self.top : self.top + self.side_px, self.left : self.left + self.side_px]


@dataclass(frozen=True)
class Scene:
    """The part of one image that figures show.

    Attributes:
        original: its pixels at high resolution.
        mpp: micrometres per pixel of the original; None where nobody knows.
    """

    record: ImageRecord
    window: Window
    original: Picture
    mpp: float | None

    @property
    def name(self) -> str:
        """Data set and image."""
        return f"{self.record.set} {self.record.id}"

    def describe(self) -> str:
        """Image, crop and resolution, for a caption."""
        top, left, side = self.window
        size = f"{side} x {side} px at x {left}, y {top}"
        return f"{self.name}: {size}" + (f", {self.mpp:g} µm per pixel" if self.mpp else "")


class Pair(NamedTuple):
    """A scene made small, and what it is to become again."""

    lr: Picture
    truth: Picture

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the truth."""
        return self.truth.shape[0], self.truth.shape[1]


def open_scene(record: ImageRecord, crop_px: int, mpp: float | None = None) -> Scene:
    """The ``crop_px`` x ``crop_px`` pixels of an image with the strongest edges.

    Args:
        mpp: of images that do not state theirs.

    Raises:
        DataError: if the image cannot be read.
        InputError: if it is smaller than the crop.
    """
    picture = read_rgb(record.path)
    if min(picture.shape[:2]) < crop_px:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise InputError(
            f"Wanted images of at least {crop_px} x {crop_px} pixels, the crop, but {record.path} has {size}."
        )
    window = strongest_edges(picture, crop_px)
    return Scene(record, window, window.of(picture), stated_mpp(record.mpp) or mpp)


def pair_of(scene: Scene, scale: float, degradation: Degradation) -> Pair:
    """A scene as the models see it, and the truth."""
    return Pair(*make_pair(scene.original, scale, degradation))


def strongest_edges(picture: Picture, side_px: int) -> Window:
    """The square window of greatest mean gradient magnitude; the first of several."""
    sums = np.zeros((picture.shape[0] + 1, picture.shape[1] + 1))
    sums[1:, 1:] = gradient(picture).cumsum(axis=0).cumsum(axis=1)
    n = side_px
    inside = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return Window(int(top), int(left), n)


def gradient(picture: Picture) -> Float[np.ndarray, "_ _"]:
    """Magnitude of the gradient of the mean of the three colours, in grey levels per pixel."""
    rows, cols = np.gradient(picture.mean(axis=2))
    magnitude: np.ndarray = np.hypot(rows, cols)
    return magnitude


def stated_mpp(words: str) -> float | None:
    """The number that a manifest's ``mpp`` starts with, as in ``0.25 (40x, nominal)``."""
    number = re.match(r"\d*\.?\d+", words.strip())
    return float(number[0]) or None if number else None
