"""A slide read piece by piece: the one interface that everything above the formats knows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import InputError

# What a file is, and a picture in memory: the vocabulary of this room.
#
# **Convention.** Sizes and micrometres per pixel (``mpp``) are (x, y) here, as in file formats; arrays are
# rows
# first.


class Mpp(NamedTuple):
    """Micrometres per pixel along x (across) and y (down)."""

    x: float
    y: float


@dataclass(frozen=True)
class Description:
    """What the header of a file says; no pixels.

    Attributes:
        format: "PNG", "OME-TIFF", "Aperio slide", ...
        size_xy: pixels of the full-resolution image, EXIF rotation applied.
        channels: in words: "RGB", "grey", "RGB + alpha", "palette", "CMYK", "4 channels".
        bits: per channel.
        mpp, mpp_source: micrometres per pixel and which field said so.
        power: the objective's nominal magnification.
        levels_xy: sizes of all resolution levels, the full one first.
        icc_profile: the profile's bytes.
        associated: names of further images (label, macro, thumbnail).
        study: what a DICOM file says of patient, study and container, by DICOM's keywords.
        provenance: the record that `histoscale` left if it wrote this file.
        refusal: why `upscale` does not take the file, as the end of a sentence; None if it does.
        notes: remarks a person should see, such as a density that was not believed.
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
    compression: str | None = None
    icc_profile: bytes | None = field(default=None, repr=False)
    associated: tuple[str, ...] = ()
    study: Mapping[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] | None = None
    refusal: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """Pixels in memory: one channel (grey) or three (RGB), and perhaps opacity beside them."""

    description: Description
    pixels: UInt8[np.ndarray, "h w c"]
    alpha: UInt8[np.ndarray, "h w"] | None = None

    @property
    def is_opaque(self) -> bool:
        """Whether nothing is lost by dropping the opacity."""
        return self.alpha is None or bool((self.alpha == 255).all())


AnySlide = TypeVar("AnySlide", bound="Slide")
LEVEL_SLACK = 0.01
"""A level's sides are rounded to whole pixels, so that a reduction by 4 may be one by 4.004."""


class Slide(ABC):
    """An opened file with one or more resolution levels.

    **Convention.** Pairs are (x, y), arrays rows first. ``l0_xy`` counts in pixels of level 0, ``level_xy``
    in those of the level that is named beside it.

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
        """The coarsest level that is not coarser than wanted; 0 if all are.

        Args:
            downsample: pixels of level 0 per wanted pixel, such as wanted mpp / mpp of level 0.
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
        """RGB of a rectangle that lies within the level; white where nothing was scanned.

        A pixel is the same whatever the rectangle around it, and threads may read at the same time.

        Raises:
            InputError: if the rectangle is empty or reaches beyond the level, or its pixels are damaged.
        """

    @abstractmethod
    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """A label, macro or thumbnail, by its name in ``description.associated``.

        Raises:
            InputError: if there is none of that name, or it is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self: AnySlide) -> AnySlide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _place(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> str:
        """Words for a rectangle that lies within the level.

        Raises:
            InputError: if it does not.
        """
        (x, y), (width, height) = level_xy, size_xy
        path, levels = self.description.path, self.levels_xy
        if not 0 <= level < len(levels):
            raise InputError(f"{path} has levels 0 to {len(levels) - 1}, and level {level} is wanted.")
        across, down = levels[level]
        place = f"{width} x {height} px at ({x}, {y}) of level {level}"
        if not (0 <= x < x + width <= across and 0 <= y < y + height <= down):
            raise InputError(f"{path}: {place} are wanted, which has {across} x {down}.")
        return place
