"""The provenance record in every written file: program, model, source and intended use."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from histoscale.errors import printable, reason_of
from histoscale.io.parsing import parse_json
from histoscale.io.slide import Mpp

SUPER_RESOLVED = "super-resolved, not for primary diagnosis"
REDUCED = "reduced by antialiased bicubic, no model"
COPIED = "same size, pixels unchanged"
NAMESPACE = "histoscale/provenance"
"""Namespace of the record in formats with annotations by several programs."""
LONGEST_RECORD = 2**20
"""Characters; each generation of a file adds some 500."""


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
        mpp, power: of the output, if known.
        model, weights_sha256, precision: None if no model was used.
        earlier: the record of the source, if histoscale wrote that too.
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
        """Program and version, for fields of that meaning."""
        return f"histoscale {self.version}"

    def to_json(self) -> str:
        """Write the record as one line of ASCII, without unknown fields."""
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


class ParsedRecord(NamedTuple):
    """A record as it was found in a file, and a remark if it was damaged."""

    record: dict[str, Any] | None = None
    note: str | None = None


def parse_provenance(text: str | None) -> ParsedRecord:
    """Read the record out of a description, which may hold any other text instead."""
    if not text or not text.startswith('{"histoscale"'):
        return ParsedRecord()
    try:
        return ParsedRecord(_printable(parse_json(text, LONGEST_RECORD)))
    except ValueError as error:
        return ParsedRecord(note=f"the provenance record was ignored: {reason_of(error)}")


def _printable(value: Any) -> Any:
    """A value of JSON whose texts have no control characters."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
