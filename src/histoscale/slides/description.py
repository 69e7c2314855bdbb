"""What a file is, and a picture in memory: the vocabulary of this room.

**Convention.** Sizes and micrometres per pixel (``mpp``) are (x, y) here, as in file formats; arrays are rows
first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8


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
