"""What came of a slide, with what its job measured on the way, and the run it was part of."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from histoscale.metrics.seams import Jumps
from histoscale.slides.provenance import Provenance
from histoscale.workflows.upscale.outcome import Outcome


class Work(NamedTuple):
    """Seconds spent on each kind of work, summed over processes: more than the clock shows.

    Attributes:
        interpolation: bicubic, on glass or where no model takes part, and mixing it with the model's pixels.
    """

    reading: float = 0.0
    model: float = 0.0
    interpolation: float = 0.0
    encoding: float = 0.0

    @property
    def shares(self) -> "Work":
        """Of their sum."""
        total = sum(self) or 1.0
        return Work(*(seconds / total for seconds in self))


class Views(NamedTuple):
    """The same field small, before and after: JPEG bytes; None where no small view can be had cheaply."""

    source: bytes | None = None
    target: bytes | None = None


@dataclass(frozen=True)
class SlideOutcome(Outcome):
    """A slide that was written; what was not measured is None.

    Attributes:
        provenance: the record in the file: model, weights' hash, precision, power.
        power_before: objective power of the source.
        device: what computed, in words.
        workers: processes that computed.
        tile_px: side of an output tile.
        tissue_share: of the area; None if no tissue was looked for.
        work: where the seconds went.
        peak_mib: most memory that all processes together held at once.
        seams: whether tiles show.
        views: the field before and after.
    """

    provenance: Provenance | None = None
    power_before: float | None = None
    device: str | None = None
    workers: int | None = None
    tile_px: int | None = None
    tissue_share: float | None = None
    work: Work | None = None
    peak_mib: float | None = None
    seams: Jumps | None = None
    views: Views = field(default=Views(), repr=False)


@dataclass(frozen=True)
class Run:
    """One call of the program.

    Attributes:
        command: as a person would type it again.
        started: with its time zone.
    """

    command: str
    started: datetime
    seconds: float
