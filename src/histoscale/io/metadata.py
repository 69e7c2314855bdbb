"""Micrometres per pixel and objective power, out of the fields that formats offer."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

from histoscale.io.slide import Mpp

# The note that goes into every file we write: by what, from what, and what it is not for.


SUPER_RESOLVED = "super-resolved, not for primary diagnosis"
REDUCED = "reduced by antialiased bicubic, no model"
COPIED = "same size, pixels unchanged"
NAMESPACE = "histoscale/provenance"
"""Marks the record where a format holds annotations of many origins."""


@dataclass(frozen=True)
class Provenance:
    """How a picture came about.

    Attributes:
        version: of histoscale.
        note: `SUPER_RESOLVED`, `REDUCED` or `COPIED`.
        source: name of the file it was made from.
        scale_xy: output side / source side.
        mpp, power: of the output, where known.
        model, weights_sha256, precision: None where no model took part.
        earlier: the record found in the source, if that was written by us too.
    """

    version: str
    note: str
    source: str
    scale_xy: tuple[float, float]
    mpp: Mpp | None = None
    power: float | None = None
    model: str | None = None
    weights_sha256: str | None = None
    precision: str | None = None
    earlier: dict[str, Any] | None = None

    @property
    def software(self) -> str:
        """Program and version, for fields of that name."""
        return f"histoscale {self.version}"

    def to_json(self) -> str:
        """One line of ASCII; unknown fields left out."""
        record: dict[str, Any] = {
            "histoscale": self.version,
            "note": self.note,
            "source": self.source,
            "scale": list(self.scale_xy),
            "mpp": list(self.mpp) if self.mpp else None,
            "power": self.power,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "earlier": self.earlier,
        }
        return json.dumps({key: value for key, value in record.items() if value is not None})


UM_PER_INCH = 25_400.0
PLAUSIBLE_MPP = (0.01, 10.0)
"""A bare print density is believed to be a microscope's in this range: 72, 300 or 2400 dots per inch
(353 to 10.6 um) are those of screens, printers, flatbeds. Fields made for microscopy are always believed."""

UM_AT_POWER_ONE = 10.0
"""A 40x objective samples at about 0.25 um per pixel, a 20x at 0.5: power = 10 / mpp."""
CONTRADICTION = 1.5
"""Power and mpp that differ by more than this factor from that rule are worth a remark."""

UM_PER_UNIT = {
    **{"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3},
    **{"meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "nanometer": 1e-3},
}


class Resolution(NamedTuple):
    """Micrometres per pixel, the field that gave them, and a remark if a field was not believed."""

    mpp: Mpp | None = None
    source: str | None = None
    note: str | None = None


class OmeRecord(NamedTuple):
    """What OME-XML says about the first image, and the record in it if we wrote it."""

    mpp: Mpp | None
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
    """The first candidate that knows the mpp, else the first that has a remark."""
    for candidate in candidates:
        if candidate.mpp is not None:
            return candidate
    return next((c for c in candidates if c.note), Resolution())


def parse_aperio(description: str) -> tuple[Mpp | None, float | None]:
    """``MPP = 0.4990`` and ``AppMag = 20`` in a TIFF ImageDescription as Aperio writes it; (mpp, power)."""
    fields = re.findall(r"(?:^|\|)\s*(MPP|AppMag)\s*=\s*([0-9.]+)\s*(?=\||$)", description)
    found = {key: positive(value) for key, value in fields}
    mpp = found.get("MPP")
    return (Mpp(mpp, mpp) if mpp else None), found.get("AppMag")


def parse_ome(xml: str) -> OmeRecord | None:
    """The first image of an OME-XML document; None if it is damaged or describes no pixels."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # the schema's year is of no interest
    pixels = root.find("Image/Pixels")
    if pixels is None:
        return None
    x, y = (_micrometres(pixels.attrib, axis) for axis in "XY")
    objective = root.find(".//Objective")
    power = None if objective is None else positive(objective.get("NominalMagnification"))
    channels = pixels.findall("Channel")
    return OmeRecord(
        Mpp(x, y) if x and y else None,
        power,
        len(channels),
        any("EmissionWavelength" in c.attrib or c.get("ContrastMethod") == "Fluorescence" for c in channels),
        parse_provenance(root.findtext(f".//MapAnnotation[@Namespace='{NAMESPACE}']/Value/M[@K='record']")),
    )


def _micrometres(attributes: dict[str, str], axis: str) -> float | None:
    return length_um(attributes.get(f"PhysicalSize{axis}"), attributes.get(f"PhysicalSize{axis}Unit", "µm"))


def length_um(length: Any, unit: str | None) -> float | None:
    """Micrometres of a positive length in a known unit, or None."""
    number, factor = positive(length), UM_PER_UNIT.get(unit or "")
    return number * factor if number and factor else None


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
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def parse_provenance(text: str | None) -> dict[str, Any] | None:
    """The record of `histoscale.io.metadata` in a description, if that is what it is."""
    if not text or not text.startswith('{"histoscale"'):
        return None
    try:
        record = json.loads(text)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def from_provenance(record: dict[str, Any] | None) -> Resolution:
    """The mpp in a provenance record."""
    values = (record or {}).get("mpp")
    if not isinstance(values, list) or len(values) != 2:
        return Resolution()
    x, y = (positive(v) for v in values)
    return Resolution(Mpp(x, y), "provenance record") if x and y else Resolution()
