"""What a pyramid writer is given: pixels that may be on their way yet, and everything else the file holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import OutputError
from histoscale.io.metadata import Provenance
from histoscale.io.slide import Mpp

Compression: TypeAlias = Literal["jpeg", "jpeg2000", "zstd", "deflate", "none"]
Layout: TypeAlias = Literal["ome", "openslide", "both"]
ReadPixels: TypeAlias = Callable[[tuple[int, int], tuple[int, int]], UInt8[np.ndarray, "h w 3"]]
"""``read(l0_xy, size_xy)``: a rectangle of the finished level 0; waits until it has been computed."""

TILE_UNIT_PX = 16
"""TIFF's tiles are multiples of this."""


@dataclass(frozen=True)
class FinishedSlide:
    """A slide to be written.

    Attributes:
        size_xy: pixels of level 0.
        read: gives its pixels; asked for tiles in reading order, each once.
        mpp: micrometres per pixel of level 0; None where unknown.
        power: objective power that level 0 stands for.
        associated: label, macro and thumbnail, carried over.
        study: what a DICOM source says of patient, study and container, by DICOM's keywords.
    """

    size_xy: tuple[int, int]
    read: ReadPixels
    provenance: Provenance
    mpp: Mpp | None = None
    power: float | None = None
    icc_profile: bytes | None = None
    channel_names: tuple[str, str, str] = ("Red", "Green", "Blue")
    associated: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    study: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoding:
    """How pixels are stored.

    Attributes:
        quality: 1 to 100, of JPEG and JPEG 2000 (there 100 is lossless).
        layout: of an OME-TIFF. "ome" keeps lower levels in SubIFDs, as the standard has it; "openslide"
            chains them as pages, as OpenSlide wants it; "both" does both over the same pixels.
        tile_px: side of a stored tile.

    Raises:
        OutputError: if a value is none of those.
    """

    compression: Compression = "jpeg"
    quality: int = 90
    layout: Layout = "ome"
    tile_px: int = 512

    def __post_init__(self) -> None:
        _refuse_unknown("compression", self.compression, get_args(Compression))
        _refuse_unknown("layout", self.layout, get_args(Layout))
        if not 1 <= self.quality <= 100:
            raise OutputError(f"A quality is 1 to 100, and {self.quality} was given.")
        if self.tile_px < TILE_UNIT_PX or self.tile_px % TILE_UNIT_PX:
            raise OutputError(f"Tiles are multiples of {TILE_UNIT_PX} px, and {self.tile_px} was given.")

    @property
    def is_lossless(self) -> bool:
        """Whether pixels are stored as they came."""
        return self.compression not in ("jpeg", "jpeg2000") or (
            self.compression == "jpeg2000" and self.quality == 100
        )

    @property
    def jpeg2000_db(self) -> float:
        """The quality as a signal-to-noise ratio, at 90 about that of JPEG; 0 is lossless."""
        return 0 if self.is_lossless else 22 + 0.2 * self.quality


def _refuse_unknown(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise OutputError(f"The {what} of a slide is one of {', '.join(known)}, and {value!r} was given.")
