"""What a person asks for: the same choices and defaults for the command line and for Python.

Imports no file format and no torch, so that the help of the command line appears at once.
"""

import math
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from histoscale.errors import ConfigError, ScaleError
from histoscale.io.writers.choices import Compression, Layout
from histoscale.resources import PrecisionChoice

TISSUE_CHOICES = ("all", "mask")


@dataclass(frozen=True)
class Options:
    """How to upscale a file, or many.

    Attributes:
        scale: factor for both sides; exactly one of this and the next three is given.
        size_xy: pixels of the output.
        mpp: micrometres per pixel of the output.
        magnification: objective power of the output.
        source_mpp: micrometres per pixel of the input; overrides what the file says.
        region: upscale only "x,y,width,height", in pixels of level 0, or in micrometres with the suffix um.
        roi: upscale only the polygons of this GeoJSON file.
        model: shipped name or path of weights.
        allow_resize: let bicubic interpolation bring a fixed-scale model's output to other sizes.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        precision: "fp32", "bf16" or "auto" (bf16 if the device supports it natively).
        tile_px: side of a tile, in input pixels for images, in output pixels for slides; None chooses by
            memory.
        tissue: where to run the model on a slide: "mask" (detected tissue; background is interpolated),
            "all", or the path of a mask image or GeoJSON file.
        compression: of a slide; None for the default of its format.
        layout: of an OME-TIFF.
        workers: processes for slides; None for one for each core, 1 computes in this process.
        max_memory_bytes: limit for all processes together.
        cluster: "local" or the address of a Dask scheduler.
        resume: resume an interrupted run; a finished output of the same settings is kept.
        quality: 1 to 100, of JPEG, WebP and JPEG 2000; None for the default of the format.
        overwrite: replace existing files.
        skip_errors: process the other files after one that failed.

    Raises:
        ScaleError: if not exactly one size is given, or a number is zero, negative or not finite.
        ConfigError: if two options exclude each other, or a value is empty or too small.
    """

    scale: float | None = None
    size_xy: tuple[int, int] | None = None
    mpp: float | None = None
    magnification: float | None = None
    source_mpp: float | None = None
    region: str | None = None
    roi: Path | None = None
    model: str = "iste-fast"
    allow_resize: bool = False
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    tile_px: int | None = None
    tissue: str = "mask"
    compression: Compression | None = None
    layout: Layout = "ome"
    workers: int | None = None
    max_memory_bytes: int | None = None
    cluster: str | None = None
    resume: bool = False
    quality: int | None = None
    overwrite: bool = False
    skip_errors: bool = True

    def __post_init__(self) -> None:
        sizes = {"scale": self.scale, "mpp": self.mpp, "magnification": self.magnification}
        given = {name: value for name, value in sizes.items() if value is not None}
        if len(given) + (self.size_xy is not None) != 1:
            raise ScaleError("Give exactly one of --scale, --size, --mpp and --magnification.")
        for name, value in given.items():
            require_positive(name, value)
        if self.size_xy is not None:
            require_size(self.size_xy)
        if self.source_mpp is not None:
            require_positive("source-mpp", self.source_mpp)
        for name in ("region", "tissue", "cluster"):
            if getattr(self, name) == "":  # as an unset variable of a shell leaves it
                raise ConfigError(f"--{name} is empty: give a value or leave the option out.")
        if self.region and self.roi:
            raise ConfigError("--region and --roi exclude each other: give one of them.")
        for name in ("workers", "tile_px", "max_memory_bytes", "quality"):
            number = getattr(self, name)
            if number is not None and not (isinstance(number, int) and number >= 1):
                option = name.removesuffix("_px").removesuffix("_bytes").replace("_", "-")
                raise ConfigError(f"--{option} must be a whole number of at least 1, but is {number!r}.")

    def without_effect(self, form: str, is_slide: bool, is_lossless: bool) -> tuple[str, ...]:
        """Remarks on options that change nothing in an output.

        Args:
            form: of the output, such as "PNG" or "OME-TIFF".
            is_slide: whether that is a format of slides.
            is_lossless: whether it keeps pixels as they are, whatever the quality.
        """
        ignored = {
            "compression": not is_slide and self.compression is not None,
            "tissue": not is_slide and self.tissue != Options.tissue,
            "layout": form != "OME-TIFF" and self.layout != Options.layout,
            "quality": is_lossless and self.quality is not None,
        }
        return tuple(
            f"--{name} {getattr(self, name)} has no effect on "
            f"{'lossless ' if name == 'quality' else ''}{form}"
            for name, is_ignored in ignored.items()
            if is_ignored
        )


def require_positive(name: str, number: object) -> None:
    """Raise `ScaleError` unless a number is positive and finite."""
    try:
        is_right = isinstance(number, Real) and 0 < float(number) < math.inf
    except OverflowError:  # a whole number beyond all floats
        is_right = False
    if not is_right:
        shown = f"{number:g}" if isinstance(number, float) else f"{number!r:.40}"
        raise ScaleError(f"--{name} must be positive and finite, but is {shown}.")


def require_size(size_xy: object) -> None:
    """Raise `ScaleError` unless a size is two positive whole numbers."""
    if not (
        isinstance(size_xy, tuple | list)
        and len(size_xy) == 2
        and all(isinstance(side, int) and side > 0 for side in size_xy)
    ):
        raise ScaleError(f"--size must be positive, width and height, but is {size_xy!r:.40}.")
