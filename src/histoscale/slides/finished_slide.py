"""What a pyramid writer is given: pixels that may be on their way yet, and everything else the file holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import UInt8

from histoscale.slides.description import Mpp
from histoscale.slides.provenance import Provenance

Compression: TypeAlias = Literal["jpeg", "jpeg2000", "zstd", "deflate", "none"]
Layout: TypeAlias = Literal["ome", "openslide", "both"]
ReadPixels: TypeAlias = Callable[[tuple[int, int], tuple[int, int]], UInt8[np.ndarray, "h w 3"]]
"""``read(l0_xy, size_xy)``: a rectangle of the finished level 0; waits until it has been computed."""


@dataclass(frozen=True)
class FinishedSlide:
    """A slide to be written.

    Attributes:
        size_xy: pixels of level 0.
        read: gives its pixels; asked for tiles in reading order, each once.
        mpp: micrometres per pixel of level 0; None where unknown.
        power: objective power that level 0 stands for.
        associated: label, macro and thumbnail, carried over.
    """

    size_xy: tuple[int, int]
    read: ReadPixels
    provenance: Provenance
    mpp: Mpp | None = None
    power: float | None = None
    icc_profile: bytes | None = None
    channel_names: tuple[str, ...] = ("Red", "Green", "Blue")
    associated: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoding:
    """How pixels are stored.

    Attributes:
        quality: 1 to 100, of JPEG and JPEG 2000.
        layout: of an OME-TIFF; "ome" keeps lower levels in SubIFDs, "openslide" chains them as pages.
        tile_px: side of a stored tile.
    """

    compression: Compression = "jpeg"
    quality: int = 90
    layout: Layout = "ome"
    tile_px: int = 512
