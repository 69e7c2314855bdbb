"""What size a person asked for: by scale, by pixels, by micrometres per pixel or by objective power.

**Convention.** Pairs are (x, y), as on the command line and in files.
"""

import math
from dataclasses import dataclass

from histoscale.errors import ScaleError
from histoscale.io.metadata import contradiction, nominal_power
from histoscale.io.slide import Mpp

LONGEST_SIDE_PX = 2**31 - 1


@dataclass(frozen=True)
class Wish:
    """Exactly one of four ways to say how large the output should be.

    Raises:
        ScaleError: if not exactly one is given, or it is zero, negative or not finite.
    """

    scale: float | None = None
    size_xy: tuple[int, int] | None = None
    mpp: float | None = None
    magnification: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise ScaleError(f"Wanted one of scale, size, mpp and magnification, got {len(given)} of them.")
        ((name, value),) = given.items()
        require_positive(name.removesuffix("_xy"), *(value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Target:
    """What will be made.

    Attributes:
        size_xy: pixels of the output.
        scale_xy: output side over input side, after rounding.
        mpp: physical extent over pixels, per axis; None where the source's is unknown.
        power: the source's objective power times the scale, where known.
        remarks: sentences for the person.
    """

    size_xy: tuple[int, int]
    scale_xy: tuple[float, float]
    mpp: Mpp | None
    power: float | None
    remarks: tuple[str, ...] = ()


def resolve(wish: Wish, size_xy: tuple[int, int], mpp: Mpp | None, power: float | None) -> Target:
    """The output size of a picture of ``size_xy`` pixels, and what its pixels will measure.

    Args:
        mpp, power: of the source, where known.

    Raises:
        ScaleError: if the wish needs an mpp or a power that is unknown, or leads to no pixels or too many.
    """
    scale_xy, remarks = _scales(wish, size_xy, mpp, power)
    width, height = wish.size_xy or (
        rounded(side, scale) for side, scale in zip(size_xy, scale_xy, strict=True)
    )
    if min(width, height) < 1:
        raise ScaleError(f"At that scale nothing is left of {size_xy[0]} x {size_xy[1]} px.")
    true_xy = width / size_xy[0], height / size_xy[1]
    if wish.size_xy and not _keeps_aspect(true_xy, size_xy):
        remarks.append(
            f"{width} x {height} has other proportions than {size_xy[0]} x {size_xy[1]}: "
            f"scaled by {true_xy[0]:.4g} across and {true_xy[1]:.4g} down"
        )
    return Target(
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
        raise ScaleError(f"A scale of {scale:g} would make {side_px} px into {exact:.4g}, beyond any format.")
    return math.floor(exact)


def require_positive(name: str, *numbers: float) -> None:
    """Raise `ScaleError` if a number is zero, negative or not finite."""
    if not all(math.isfinite(number) and number > 0 for number in numbers):
        shown = "x".join(f"{number:g}" for number in numbers)
        raise ScaleError(f"Wanted a positive, finite {name}, got {shown}.")


def _scales(
    wish: Wish, size_xy: tuple[int, int], mpp: Mpp | None, power: float | None
) -> tuple[tuple[float, float], list[str]]:
    """Scale along x and y before rounding, with remarks on how it was found."""
    if wish.scale is not None:
        return (wish.scale, wish.scale), []
    if wish.size_xy is not None:
        return (wish.size_xy[0] / size_xy[0], wish.size_xy[1] / size_xy[1]), []
    if wish.mpp is not None:
        if mpp is None:
            raise ScaleError(
                f"{wish.mpp:g} um per pixel is wanted, and the source's is unknown: give --source-mpp."
            )
        return (mpp.x / wish.mpp, mpp.y / wish.mpp), []
    assumed, remarks = _power(mpp, power)
    ratio = float(wish.magnification or 0) / assumed
    return (ratio, ratio), remarks


def _power(mpp: Mpp | None, power: float | None) -> tuple[float, list[str]]:
    """The source's objective power, or what its mpp stands for."""
    if power is not None:
        return power, [*contradiction(mpp, power)]
    if mpp is None:
        raise ScaleError(
            "A magnification is wanted, and the source's power and mpp are unknown: give --source-mpp."
        )
    nominal = nominal_power(mpp)
    return nominal, [f"no objective power is recorded: taken as 10 / mpp = {nominal:.4g}"]


def _keeps_aspect(scale_xy: tuple[float, float], size_xy: tuple[int, int]) -> bool:
    """Whether both scales are the same but for rounding to whole pixels."""
    slack = 0.5 / size_xy[0] + 0.5 / size_xy[1]
    return abs(scale_xy[0] - scale_xy[1]) <= slack + 1e-9
