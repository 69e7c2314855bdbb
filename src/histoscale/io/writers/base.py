"""What writers receive: an image or a slide, and how its pixels are encoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias, get_args

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import OutputError
from histoscale.io.provenance import Provenance
from histoscale.io.slide import Mpp, Pixels
from histoscale.io.writers.choices import Compression, Layout

ReadPixels: TypeAlias = Callable[[tuple[int, int], tuple[int, int]], UInt8[np.ndarray, "h w 3"]]
"""``read(l0_xy, size_xy)`` returns a rectangle of level 0; it waits until the rectangle has been computed."""

TILE_UNIT_PX = 16
"""The side of a TIFF tile is a multiple of this."""
UM_PER_CM = 10_000.0
DENSITY_UM = (1e-3, 1e5)
"""Range of micrometres per pixel that the density fields of all formats can hold; the provenance record holds
any value."""
PROFILE_HEADER_BYTES = 128
COLOUR_SPACES = {b"GRAY": 1, b"RGB ": 3}
"""Signature of an ICC profile, and how many channels the pixels have that it describes."""


@dataclass(frozen=True)
class OutputImage:
    """An image to write.

    Attributes:
        alpha: opacity; None if the image has none.
        icc_profile: profile of the source; see `fitting_profile`.
    """

    pixels: UInt8[np.ndarray, "h w c"]
    alpha: UInt8[np.ndarray, "h w"] | None
    icc_profile: bytes | None
    provenance: Provenance

    @property
    def mpp(self) -> Mpp | None:
        """Micrometres per pixel, if the density fields can hold them."""
        mpp, (low, high) = self.provenance.mpp, DENSITY_UM
        return mpp if mpp and low <= min(mpp) and max(mpp) <= high else None

    @property
    def samples(self) -> UInt8[np.ndarray, "h w k"]:
        """Colours, followed by the opacity."""
        return self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])

    @property
    def is_opaque(self) -> bool:
        """Whether nothing is lost by dropping the opacity."""
        return Pixels(self.pixels, self.alpha).is_opaque

    @property
    def fitting_profile(self) -> bytes | None:
        """The profile, if it describes pixels of this number of channels."""
        return fitting_profile(self.icc_profile, self.pixels.shape[2])

    def in_colour(self) -> "OutputImage":
        """Return the image in RGB, for a format without grey; a profile of grey pixels no longer fits."""
        return replace(self, pixels=np.broadcast_to(self.pixels, (*self.pixels.shape[:2], 3)))


@dataclass(frozen=True)
class OutputSlide:
    """A slide to write.

    Attributes:
        size_xy: pixels of level 0.
        read: returns its pixels; called for tiles in reading order, for each once.
        mpp: micrometres per pixel of level 0; None if unknown.
        power: objective power that level 0 corresponds to.
        icc_profile: profile of the source; see `fitting_profile`.
        associated: label, macro and thumbnail of the source.
        study: patient, study and container of a DICOM source, by DICOM's keywords.
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

    @property
    def fitting_profile(self) -> bytes | None:
        """The profile, if it describes RGB."""
        return fitting_profile(self.icc_profile, channels=3)


@dataclass(frozen=True)
class Encoding:
    """How pixels are stored.

    Attributes:
        quality: 1 to 100, of JPEG and JPEG 2000 (there 100 is lossless).
        layout: of an OME-TIFF. "ome" keeps lower levels in SubIFDs as the standard says; "openslide" chains
            them as pages, which OpenSlide reads; "both" does both for the same pixels.
        tile_px: side of a stored tile.

    Raises:
        OutputError: if a value is out of range.
    """

    compression: Compression
    quality: int
    layout: Layout = "ome"
    tile_px: int = 512

    def __post_init__(self) -> None:
        _refuse_unknown("compression", self.compression, get_args(Compression))
        _refuse_unknown("layout", self.layout, get_args(Layout))
        if not 1 <= self.quality <= 100:
            raise OutputError(f"--quality must be 1 to 100, but is {self.quality}.")
        if self.tile_px < TILE_UNIT_PX or self.tile_px % TILE_UNIT_PX:
            raise OutputError(
                f"The side of a tile must be a multiple of {TILE_UNIT_PX} px, but is {self.tile_px}."
            )

    @property
    def is_lossless(self) -> bool:
        """Whether the stored pixels equal the given ones."""
        return self.compression not in ("jpeg", "jpeg2000") or (
            self.compression == "jpeg2000" and self.quality == 100
        )

    @property
    def jpeg2000_db(self) -> float:
        """The quality as a signal-to-noise ratio in dB, about that of JPEG at 90; 0 is lossless."""
        return 0 if self.is_lossless else 22 + 0.2 * self.quality


def _refuse_unknown(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise OutputError(f"--{what} must be one of {', '.join(known)}, but is {value!r}.")


def fitting_profile(profile: bytes | None, channels: int) -> bytes | None:
    """Return the ICC profile, or None if it describes another number of channels than the pixels have.

    A grey profile does not fit pixels that became RGB.
    """
    if profile is None or len(profile) < PROFILE_HEADER_BYTES:
        return None
    return profile if COLOUR_SPACES.get(profile[16:20]) == channels else None


def per_centimetre(mpp: float) -> tuple[int, int]:
    """Express pixels per centimetre as a fraction of two 32-bit integers."""
    exact = Fraction(UM_PER_CM / mpp)
    limit = max(1, min(10**6, int((2**32 - 1) / max(float(exact), 1.0))))
    return exact.limit_denominator(limit).as_integer_ratio()
