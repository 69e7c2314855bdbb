"""Micrometres per pixel and objective power, out of the fields that formats offer."""

import math
import re
from typing import Any, NamedTuple
from xml.etree import ElementTree

from histoscale.io.provenance import NAMESPACE, parse_provenance
from histoscale.io.slide import Mpp

UM_PER_INCH = 25_400.0
POSSIBLE_MPP = (1e-3, 1e3)
"""Outside this range, an atom to a coin, a field holds no micrometres per pixel whatever it says."""
PLAUSIBLE_MPP = (0.01, 10.0)
"""A bare print density is believed to be a microscope's in this range: 72, 300 or 2400 dots per inch
(353 to 10.6 um) are those of screens, printers, flatbeds. Fields made for microscopy are always believed."""

UM_AT_POWER_ONE = 10.0
"""A 40x objective samples at about 0.25 um per pixel, a 20x at 0.5: power = 10 / mpp."""
CONTRADICTION = 1.5
"""Power and mpp that differ by more than this factor from that rule are worth a remark."""

UM_PER_SYMBOL = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "\N{ANGSTROM SIGN}": 1e-4, "Å": 1e-4}
UM_PER_NAME = {
    **{"meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "micron": 1.0},
    **{"nanometer": 1e-3, "angstrom": 1e-4},
}
MICRO = re.compile("\N{MICRO SIGN}|\N{GREEK SMALL LETTER MU}|\\\\u00b5|\\\\u03bc", re.IGNORECASE)
"""The sign as two characters of Unicode, and as ImageJ escapes them."""
NO_LENGTHS = ("", "pixel", "pixels", "px", "reference frame", "none", "inch", "inches")
"""Units of fields that nobody filled in with a length; inches are those of a printer."""


class Resolution(NamedTuple):
    """Micrometres per pixel, the field that gave them, and a remark if a field was not believed."""

    mpp: Mpp | None = None
    source: str | None = None
    note: str | None = None


class OmeRecord(NamedTuple):
    """What OME-XML says about the first image, and the record in it if we wrote it."""

    resolution: Resolution
    power: float | None
    channels: int
    is_fluorescence: bool
    provenance: dict[str, Any] | None = None


def from_density(per_inch_xy: tuple[float, float], source: str) -> Resolution:
    """A print density as micrometres per pixel, if a microscope could have it.

    Args:
        per_inch_xy: pixels per inch along x and y.
        source: the name of the field, for the person.
    """
    x, y = (float(d) for d in per_inch_xy)
    if not (x > 1 and y > 1):  # 0 and 1 are what writers put who do not know
        return Resolution()
    mpp = Mpp(UM_PER_INCH / x, UM_PER_INCH / y)
    low, high = PLAUSIBLE_MPP
    if low <= min(mpp) and max(mpp) <= high:
        return Resolution(mpp, source)
    return Resolution(
        note=f"the {source} of {x:.6g} dpi ({mpp.x:.4g} um/px) is not a microscope's and was ignored"
    )


def first_known(*candidates: Resolution) -> Resolution:
    """The first candidate that knows a possible mpp, else the first that has a remark."""
    possible = [_refuse_impossible(candidate) for candidate in candidates]
    for candidate in possible:
        if candidate.mpp is not None:
            return candidate
    return next((c for c in possible if c.note), Resolution())


def _refuse_impossible(candidate: Resolution) -> Resolution:
    """The candidate, or a remark in its place if no pixel can have that size."""
    low, high = POSSIBLE_MPP
    if candidate.mpp is None or (low <= min(candidate.mpp) and max(candidate.mpp) <= high):
        return candidate
    return Resolution(
        note=f"the {candidate.source} of {candidate.mpp.x:.4g} um per pixel is impossible and was ignored"
    )


def parse_aperio(description: str) -> tuple[Mpp | None, float | None]:
    """``MPP = 0.4990`` and ``AppMag = 20`` in a TIFF ImageDescription as Aperio writes it; (mpp, power)."""
    fields = re.findall(r"(?:^|\|)\s*(MPP|AppMag)\s*=\s*([0-9.]+)\s*(?=\||$)", description)
    found = {key: positive(value) for key, value in fields}
    mpp = found.get("MPP")
    return (Mpp(mpp, mpp) if mpp else None), found.get("AppMag")


def parse_ome(xml: str) -> OmeRecord | None:
    """Read the first image of an OME-XML document; None if it is damaged or describes no pixels."""
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # the schema's year is of no interest
    pixels = root.find("Image/Pixels")
    if pixels is None:
        return None
    lengths = [pixels.get(f"PhysicalSize{axis}") for axis in "XY"]
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    objective = root.find(".//Objective")
    power = None if objective is None else positive(objective.get("NominalMagnification"))
    channels = pixels.findall("Channel")
    return OmeRecord(
        from_lengths((lengths[0], lengths[1]), (units[0], units[1]), "OME-XML"),
        power,
        len(channels),
        any("EmissionWavelength" in c.attrib or c.get("ContrastMethod") == "Fluorescence" for c in channels),
        parse_provenance(root.findtext(f".//MapAnnotation[@Namespace='{NAMESPACE}']/Value/M[@K='record']")),
    )


def from_lengths(
    sides_xy: tuple[Any, Any], units_xy: tuple[str | None, str | None], source: str
) -> Resolution:
    """The sides of a pixel in any unit as micrometres; a remark where the unit is unknown.

    Args:
        source: the name of the field, for the person.
    """
    numbers = [positive(side) for side in sides_xy]
    if None in numbers:
        return Resolution()
    factors = [um_per(unit) for unit in units_xy]
    for unit, factor in zip(units_xy, factors, strict=True):
        if factor is None:
            is_worth_a_remark = (unit or "").strip().lower() not in NO_LENGTHS
            shown = f"the {source} is in {unit!r}, an unknown unit, and was ignored"
            return Resolution(note=shown if is_worth_a_remark else None)
    x, y = (float(n or 0) * float(f or 0) for n, f in zip(numbers, factors, strict=True))
    return Resolution(Mpp(x, y), source)


def um_per(unit: str | None) -> float | None:
    """Micrometres of a unit of length, by its symbol or by its name in any spelling; None if unknown."""
    symbol = MICRO.sub("u", (unit or "").strip())
    if symbol in UM_PER_SYMBOL:
        return UM_PER_SYMBOL[symbol]
    name = symbol.lower().removesuffix("s").replace("metre", "meter")
    return UM_PER_NAME.get(name)


def contradiction(mpp: Mpp | None, power: float | None) -> tuple[str, ...]:
    """A remark if the objective power and the mpp cannot both be right."""
    if mpp is None or power is None:
        return ()
    nominal = nominal_power(mpp)
    if 1 / CONTRADICTION <= power / nominal <= CONTRADICTION:
        return ()
    return (
        f"the objective power of {power:g} contradicts {math.sqrt(mpp.x * mpp.y):.4g} um/px, "
        f"which is that of {nominal:.3g}x",
    )


def nominal_power(mpp: Mpp) -> float:
    """The objective power that usually has these micrometres per pixel."""
    return UM_AT_POWER_ONE / math.sqrt(mpp.x * mpp.y)


def positive(text: Any) -> float | None:
    """A positive finite number, or None."""
    try:
        number = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None


def from_provenance(record: dict[str, Any] | None) -> Resolution:
    """The mpp in a provenance record."""
    values = (record or {}).get("mpp")
    if not isinstance(values, list) or len(values) != 2:
        return Resolution()
    x, y = (positive(v) for v in values)
    return Resolution(Mpp(x, y), "provenance record") if x and y else Resolution()
