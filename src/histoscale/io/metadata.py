"""Micrometres per pixel and objective power, from the fields in which formats record them."""

import math
import re
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from histoscale.errors import printable
from histoscale.io.parsing import parse_xml
from histoscale.io.provenance import NAMESPACE, ParsedRecord, parse_provenance
from histoscale.io.slide import Mpp
from histoscale.io.units import um_per

UM_PER_INCH = 25_400.0
POSSIBLE_MPP = (1e-3, 1e3)
"""Outside this range, which spans a protein to a coin, a field does not hold micrometres per pixel."""
PLAUSIBLE_MPP = (0.01, 10.0)
"""Range in which a bare print density is accepted as that of a microscope: 72, 300 or 2400 dots per inch
(353 to 10.6 um) are those of screens, printers and flatbeds. Fields made for microscopy may exceed it."""
POSSIBLE_POWER = (0.1, 1000.0)

UM_AT_POWER_ONE = 10.0
"""A 40x objective samples at about 0.25 um per pixel, a 20x at 0.5: power = 10 / mpp."""
CONTRADICTION = 1.5
"""Power and mpp contradict each other if they differ from that rule by more than this factor."""

NO_LENGTHS = ("", "pixel", "pixels", "px", "reference frame", "none")
"""Units that are no lengths, in fields that were not filled in."""
LONGEST_SHOWN = 40
"""Characters of a unit that a remark repeats."""


class Resolution(NamedTuple):
    """Micrometres per pixel, the field that gave them, and a remark if a field was ignored."""

    mpp: Mpp | None = None
    source: str | None = None
    note: str | None = None


class OmeImage(NamedTuple):
    """One image of an OME-XML document.

    Attributes:
        sizes: pixels, focal planes, channels and time points by the letters X, Y, Z, C and T.
        channels: elements of that name; one may stand for three samples.
    """

    name: str
    sizes: dict[str, int]
    resolution: Resolution
    power: float | None
    channels: int
    is_fluorescence: bool


class OmeDocument(NamedTuple):
    """What an OME-XML document says, and the record in it if histoscale wrote it."""

    images: tuple[OmeImage, ...]
    provenance: ParsedRecord


def from_density(per_inch_xy: tuple[float, float], source: str) -> Resolution:
    """Convert a print density to micrometres per pixel, if a microscope could have it.

    Args:
        per_inch_xy: pixels per inch along x and y.
        source: name of the field, for remarks.
    """
    x, y = (float(d) for d in per_inch_xy)
    if not (1 < x < math.inf and 1 < y < math.inf):  # writers put 0 or 1 if they do not know the density
        return Resolution()
    mpp = Mpp(UM_PER_INCH / x, UM_PER_INCH / y)
    low, high = PLAUSIBLE_MPP
    if low <= min(mpp) and max(mpp) <= high:
        return Resolution(mpp, source)
    return Resolution(
        note=f"the {source} of {x:.6g} dpi ({mpp.x:.4g} um/px) is not a microscope's and was ignored"
    )


def first_known(*candidates: Resolution) -> Resolution:
    """Choose the first candidate with a possible mpp, with the first remark on those before it."""
    note = None
    for candidate in map(_refuse_impossible, candidates):
        note = note or candidate.note
        if candidate.mpp is not None:
            return candidate._replace(note=note)
    return Resolution(note=note)


def _refuse_impossible(candidate: Resolution) -> Resolution:
    """Replace a candidate by a remark if no pixel can have that size."""
    low, high = POSSIBLE_MPP
    if candidate.mpp is None or (low <= min(candidate.mpp) and max(candidate.mpp) <= high):
        return candidate
    return Resolution(
        note=f"the {candidate.source} of {candidate.mpp.x:.4g} um per pixel is impossible and was ignored"
    )


def parse_aperio(description: str) -> tuple[Mpp | None, float | None]:
    """Find ``MPP = 0.4990`` and ``AppMag = 20`` in an ImageDescription by Aperio; (mpp, power)."""
    fields = re.findall(r"(?:^|\|)\s*(MPP|AppMag)\s*=\s*([0-9.e+-]+)\s*(?=\||$)", description)
    found = {key: positive(value) for key, value in fields}
    mpp = found.get("MPP")
    return (Mpp(mpp, mpp) if mpp else None), possible_power(found.get("AppMag"))


def parse_ome(xml: str) -> OmeDocument | None:
    """Read an OME-XML document; None if it is damaged or describes no image with pixels."""
    root = parse_xml(xml)
    if root is None:
        return None
    powers = {
        str(objective.get("ID")): possible_power(objective.get("NominalMagnification"))
        for objective in root.iterfind(".//Objective")
    }
    images = [_ome_image(image, powers) for image in root.iterfind("Image")]
    found = tuple(image for image in images if image is not None)
    record = root.findtext(f".//MapAnnotation[@Namespace='{NAMESPACE}']/Value/M[@K='record']")
    return OmeDocument(found, parse_provenance(record)) if found else None


def _ome_image(image: Element, powers: dict[str, float | None]) -> OmeImage | None:
    """Read one image; its objective, or the only one that the document has.

    Args:
        powers: of the objectives by their identifiers.
    """
    pixels = image.find("Pixels")
    if pixels is None:
        return None
    lengths = [pixels.get(f"PhysicalSize{axis}") for axis in "XY"]
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    settings = image.find("ObjectiveSettings")
    objective = str(settings.get("ID")) if settings is not None else next(iter(powers), "")
    channels = pixels.findall("Channel")
    return OmeImage(
        printable(image.get("Name", "")),
        {axis: _count(pixels.get(f"Size{axis}")) for axis in "XYZCT"},
        from_lengths((lengths[0], lengths[1]), (units[0], units[1]), "OME-XML"),
        powers.get(objective),
        len(channels),
        any("EmissionWavelength" in c.attrib or c.get("ContrastMethod") == "Fluorescence" for c in channels),
    )


def _count(text: str | None) -> int:
    """A number of pixels or planes; 1 if it is missing or not a number."""
    return int(text) if text and len(text) < 20 and text.strip().isdecimal() else 1


def from_lengths(
    sides_xy: tuple[Any, Any], units_xy: tuple[str | None, str | None], source: str
) -> Resolution:
    """Convert the sides of a pixel from any unit to micrometres, with a remark if the unit is unknown.

    Args:
        source: name of the field, for remarks.
    """
    numbers = [positive(side) for side in sides_xy]
    if None in numbers:
        return Resolution()
    factors = [um_per(unit) for unit in units_xy]
    for unit, factor in zip(units_xy, factors, strict=True):
        if factor is None:
            is_length = (unit or "").strip().lower() not in NO_LENGTHS
            shown = printable((unit or "")[:LONGEST_SHOWN])
            remark = f"the {source} is in the unknown unit '{shown}' and was ignored"
            return Resolution(note=remark if is_length else None)
    x, y = (float(n or 0) * float(f or 0) for n, f in zip(numbers, factors, strict=True))
    return Resolution(Mpp(x, y), source)


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
    """Compute the objective power that usually has these micrometres per pixel."""
    return UM_AT_POWER_ONE / math.sqrt(mpp.x * mpp.y)


def positive(value: Any) -> float | None:
    """Convert a value to a positive finite number; None if it is not one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


def possible_power(value: Any) -> float | None:
    """Convert a value to an objective power; None if no objective has it."""
    power, (low, high) = positive(value), POSSIBLE_POWER
    return power if power is not None and low <= power <= high else None


def from_provenance(record: dict[str, Any] | None) -> Resolution:
    """The mpp of a provenance record."""
    values = (record or {}).get("mpp")
    if not isinstance(values, list) or len(values) != 2:
        return Resolution()
    x, y = (positive(v) for v in values)
    return Resolution(Mpp(x, y), "provenance record") if x and y else Resolution()


def notes_on(found: Resolution, power: float | None, *further: str | None) -> tuple[str, ...]:
    """All remarks on a header, without those that are None.

    Args:
        found: the resolution that is used.
    """
    candidates = (found.note, *contradiction(found.mpp, power), *further)
    return tuple(note for note in candidates if note)
