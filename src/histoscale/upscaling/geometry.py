"""The size of the output, from the options: scale, pixels, micrometres per pixel or objective power.

**Convention.** Pairs are (x, y), as on the command line and in files.
"""

import math
from dataclasses import dataclass

from histoscale.errors import ScaleError
from histoscale.io.metadata import contradiction, nominal_power
from histoscale.io.slide import Mpp
from histoscale.upscaling.options import Options

LONGEST_SIDE_PX = 2**31 - 1


@dataclass(frozen=True)
class OutputGeometry:
    """Size and resolution of the output.

    Attributes:
        size_xy: pixels of the output.
        scale_xy: output side over input side, after rounding.
        mpp: physical extent over pixels, per axis; None where the source's is unknown.
        power: the source's objective power times the scale, where known.
        remarks: sentences that are shown.
    """

    size_xy: tuple[int, int]
    scale_xy: tuple[float, float]
    mpp: Mpp | None
    power: float | None
    remarks: tuple[str, ...] = ()


def resolve(
    options: Options, size_xy: tuple[int, int], mpp: Mpp | None, power: float | None
) -> OutputGeometry:
    """The output size of an image of ``size_xy`` pixels, and what its pixels will measure.

    Args:
        mpp, power: of the source, where known.

    Raises:
        ScaleError: if the options need an mpp or a power that is unknown, or lead to no pixels or too many.
    """
    scale_xy, remarks = _scales(options, size_xy, mpp, power)
    width, height = options.size_xy or (
        rounded(side, scale) for side, scale in zip(size_xy, scale_xy, strict=True)
    )
    if min(width, height) < 1:
        raise ScaleError(
            f"{size_xy[0]} x {size_xy[1]} px at that scale give less than one pixel: give a larger scale."
        )
    true_xy = width / size_xy[0], height / size_xy[1]
    if options.size_xy and not _keeps_aspect(true_xy, size_xy):
        remarks.append(
            f"{width} x {height} has a different aspect ratio from {size_xy[0]} x {size_xy[1]}: "
            f"scaled by {true_xy[0]:.4g} across and {true_xy[1]:.4g} down"
        )
    return OutputGeometry(
        size_xy=(width, height),
        scale_xy=true_xy,
        mpp=Mpp(mpp.x / true_xy[0], mpp.y / true_xy[1]) if mpp else None,
        power=power * math.sqrt(true_xy[0] * true_xy[1]) if power else None,
        remarks=tuple(remarks),
    )


def rounded(side_px: int, scale: float) -> int:
    """``floor(side * scale + 1/2)``, as `histoscale.imaging.coords.rounded_size` without its torch.

    Raises:
        ScaleError: if no format could count the pixels.
    """
    exact = side_px * scale + 0.5
    if exact > LONGEST_SIDE_PX:
        raise ScaleError(
            f"At scale {scale:g} a side of {side_px} px becomes {exact:.4g} px, more than any format holds."
        )
    return math.floor(exact)


def _scales(
    options: Options, size_xy: tuple[int, int], mpp: Mpp | None, power: float | None
) -> tuple[tuple[float, float], list[str]]:
    """Scale along x and y before rounding, and remarks on where it comes from."""
    if options.scale is not None:
        return (options.scale, options.scale), []
    if options.size_xy is not None:
        return (options.size_xy[0] / size_xy[0], options.size_xy[1] / size_xy[1]), []
    if options.mpp is not None:
        if mpp is None:
            raise ScaleError(
                f"--mpp {options.mpp:g} needs the micrometres per pixel of the input, which are unknown: "
                "give --source-mpp."
            )
        return (mpp.x / options.mpp, mpp.y / options.mpp), []
    assumed, remarks = _power(mpp, power)
    ratio = float(options.magnification or 0) / assumed
    return (ratio, ratio), remarks


def _power(mpp: Mpp | None, power: float | None) -> tuple[float, list[str]]:
    """The objective power of the source, recorded or estimated from its mpp."""
    if power is not None:
        return power, [*contradiction(mpp, power)]
    if mpp is None:
        raise ScaleError(
            "--magnification needs the objective power or the micrometres per pixel of the input, which are "
            "unknown: give --source-mpp."
        )
    nominal = nominal_power(mpp)
    return nominal, [f"no objective power is recorded: estimated as 10 / mpp = {nominal:.4g}"]


def _keeps_aspect(scale_xy: tuple[float, float], size_xy: tuple[int, int]) -> bool:
    """Whether both scales are the same but for rounding to whole pixels."""
    slack = 0.5 / size_xy[0] + 0.5 / size_xy[1]
    return abs(scale_xy[0] - scale_xy[1]) <= slack + 1e-9
