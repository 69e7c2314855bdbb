"""An opened slide or image: what its header says, and its pixels piece by piece.

This is the only interface that code above the formats uses.

**Convention.** Sizes, positions and micrometres per pixel (``mpp``) are (x, y) here, as in file formats;
arrays are rows first. ``l0_xy`` counts in pixels of level 0, ``level_xy`` in those of the level beside it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.resources import ensure_memory


class Mpp(NamedTuple):
    """Micrometres per pixel along x (across) and y (down)."""

    x: float
    y: float


@dataclass(frozen=True)
class Description:
    """What the header of a file says, without pixels.

    Attributes:
        format: "PNG", "OME-TIFF", "Aperio slide", ...
        size_xy: pixels of the full-resolution image, EXIF rotation applied.
        channels: in words: "RGB", "grey", "RGB + alpha", "palette", "CMYK", "4 channels".
        bits: per channel.
        mpp, mpp_source: micrometres per pixel, and the field that says so.
        power: the objective's nominal magnification.
        levels_xy: sizes of all resolution levels, the full one first.
        bounds_xy, bounds_size_xy: corner and size of the part of level 0 that the scanner states to have
            scanned; QuPath shows this part only and counts from its corner.
        icc_profile: the profile's bytes.
        associated: names of further images (label, macro, thumbnail).
        study: patient, study and container of a DICOM file, by DICOM's keywords.
        provenance: the record by `histoscale`, if it wrote this file.
        refusal: why `upscale` refuses the file, as the end of a sentence; None if it does not.
        notes: remarks to show, such as on a density that was ignored.
    """

    path: Path
    format: str
    size_xy: tuple[int, int]
    channels: str
    bits: int
    mpp: Mpp | None = None
    mpp_source: str | None = None
    power: float | None = None
    levels_xy: tuple[tuple[int, int], ...] = ()
    bounds_xy: tuple[int, int] = (0, 0)
    bounds_size_xy: tuple[int, int] | None = None
    compression: str | None = None
    icc_profile: bytes | None = field(default=None, repr=False)
    associated: tuple[str, ...] = ()
    study: Mapping[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] | None = None
    refusal: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_grey(self) -> bool:
        """Whether the pixels have one channel, apart from the opacity."""
        return self.channels.startswith("grey")


class Pixels(NamedTuple):
    """Pixels in memory: one channel (grey) or three (RGB), and the opacity where the file has one.

    Attributes:
        alpha: opacity from 0 to 255; None if the file has none. Colours are not multiplied by it.
    """

    colour: UInt8[np.ndarray, "h w c"]
    alpha: UInt8[np.ndarray, "h w"] | None = None

    @property
    def is_opaque(self) -> bool:
        """Whether dropping the opacity changes nothing."""
        return self.alpha is None or bool((self.alpha == 255).all())


AnySlide = TypeVar("AnySlide", bound="Slide")
LEVEL_SLACK = 0.01
"""Sides of levels are rounded to whole pixels, so that a reduction by 4 may be one by 4.004."""
STRIP_PX = 1024
"""Rows that `Slide.read_pixels` reads at once: some decoders need several times the memory of the result."""
BYTES_PER_PX = 6
"""Memory that `Slide.read_pixels` takes for a pixel: the result, and as much again while reading."""


class Slide(ABC):
    """An opened file with one or more resolution levels; close it, or use it in a ``with`` block.

    Attributes:
        description: what the header says.
    """

    description: Description

    @property
    def levels_xy(self) -> tuple[tuple[int, int], ...]:
        """Sizes of all levels, the full one first."""
        return self.description.levels_xy or (self.description.size_xy,)

    def downsample_xy(self, level: int) -> tuple[float, float]:
        """Pixels of level 0 per pixel of that level."""
        (width, height), (across, down) = self.levels_xy[0], self.levels_xy[level]
        return width / across, height / down

    def best_level(self, downsample: float) -> int:
        """Find the coarsest level that is not coarser than ``downsample``; 0 if all are.

        Args:
            downsample: pixels of level 0 per pixel that is needed, such as target mpp / mpp of level 0.
        """
        fine = [
            level
            for level in range(len(self.levels_xy))
            if max(self.downsample_xy(level)) <= downsample * (1 + LEVEL_SLACK)
        ]
        return max(fine, key=lambda level: max(self.downsample_xy(level)), default=0)

    @abstractmethod
    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Read a rectangle within a level as RGB; gaps of the scan and transparent pixels are white.

        A pixel does not depend on the rectangle that contains it. Threads may read at the same time.

        Raises:
            InputError: if the rectangle is empty or reaches beyond the level, or its pixels are damaged.
        """

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        """Read a rectangle of level 0, all of it by default, with the channels that the file has.

        Raises:
            InputError: as `read_region`, or if the rectangle does not fit into memory.
        """
        width, height = size_xy = size_xy or self.levels_xy[0]
        self._ensure_memory(BYTES_PER_PX, size_xy)
        colour = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, STRIP_PX):
            rows = min(STRIP_PX, height - top)
            colour[top : top + rows] = self.read_region(0, (l0_xy[0], l0_xy[1] + top), (width, rows))
        return Pixels(colour)

    @abstractmethod
    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """Read a label, macro or thumbnail by its name in ``description.associated``.

        Raises:
            InputError: if there is none of that name, or it is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self: AnySlide) -> AnySlide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _place(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> str:
        """Describe a rectangle in words, for messages.

        Raises:
            InputError: if it is not within the level.
        """
        (x, y), (width, height) = level_xy, size_xy
        path, levels = self.description.path, self.levels_xy
        if not 0 <= level < len(levels):
            raise InputError(f"{path} has no level {level}: its levels are 0 to {len(levels) - 1}.")
        across, down = levels[level]
        place = f"{width} x {height} px at ({x}, {y}) of level {level}"
        if not (0 <= x < x + width <= across and 0 <= y < y + height <= down):
            raise InputError(
                f"{path}: {place} is empty or outside the level, which has {across} x {down} px."
            )
        return place

    def _ensure_memory(self, bytes_per_px: int, size_xy: tuple[int, int]) -> None:
        """Raise `InputError` if so many pixels do not fit into memory."""
        width, height = size_xy
        sentence = f"{self.description.path}: {width} x {height} px are too large to be held in memory"
        ensure_memory(bytes_per_px * width * height, InputError, sentence)

    def _refuse_associated(self, name: str) -> InputError:
        """Make the error for a name that no associated image has."""
        return InputError(f"{self.description.path} has no associated image {name!r}.")
