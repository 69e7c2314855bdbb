"""The note that goes into every file we write: by what, from what, and what it is not for."""

import json
from dataclasses import dataclass
from typing import Any

from histoscale.slides.description import Mpp

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
