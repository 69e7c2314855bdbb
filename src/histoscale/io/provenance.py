"""The record that goes into every file we write: made by what, from what, and what it is not for."""

import json
from dataclasses import dataclass
from typing import Any

from histoscale.io.slide import Mpp

SUPER_RESOLVED = "super-resolved, not for primary diagnosis"
REDUCED = "reduced by antialiased bicubic, no model"
COPIED = "same size, pixels unchanged"
NAMESPACE = "histoscale/provenance"
"""Marks the record where a format holds annotations of many origins."""


@dataclass(frozen=True)
class Provenance:
    """How an image or slide was made.

    Attributes:
        version: of histoscale.
        note: `SUPER_RESOLVED`, `REDUCED` or `COPIED`.
        source: name of the file it was made from.
        source_digest: of that file's content.
        region: the part of it that was taken, as left, top, width and height in pixels of level 0.
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
    source_digest: str | None = None
    region: tuple[int, int, int, int] | None = None

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
            "source_digest": self.source_digest,
            "region": list(self.region) if self.region else None,
            "scale": list(self.scale_xy),
            "mpp": list(self.mpp) if self.mpp else None,
            "power": self.power,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "earlier": self.earlier,
        }
        return json.dumps({key: value for key, value in record.items() if value is not None})


def parse_provenance(text: str | None) -> dict[str, Any] | None:
    """Read the record out of a description; None if the text is another.

    What other files say in its place is not trusted: control characters, which could steer a terminal, are
    written as escapes.
    """
    if not text or not text.startswith('{"histoscale"'):
        return None
    try:
        record = json.loads(text)
        return {str(key): _printable(value) for key, value in record.items()}
    except (ValueError, RecursionError):  # cut off, nested without end, a number of thousands of digits
        return None


def _printable(value: Any) -> Any:
    """A value of JSON with its texts on one line, control characters as escapes."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
