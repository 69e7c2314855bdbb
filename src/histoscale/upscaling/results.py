"""The outcome of each file, and the line that is printed for it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import ScaleError, UnexpectedError, explained
from histoscale.io.provenance import Provenance
from histoscale.io.slide import Mpp


@dataclass(frozen=True)
class Outcome:
    """A file that was written.

    Attributes:
        before_xy, after_xy: pixels.
        mpp_before, mpp_after: micrometres per pixel, where known.
        method: model and precision, or what was done without a model.
        seconds: from opening the source to closing the target.
        remarks: sentences that are printed as warnings.
    """

    source: Path
    target: Path
    before_xy: tuple[int, int]
    after_xy: tuple[int, int]
    mpp_before: Mpp | None
    mpp_after: Mpp | None
    method: str
    seconds: float
    remarks: tuple[str, ...] = ()

    @property
    def megapixels_per_second(self) -> float:
        """Output pixels over all seconds, reading and writing included."""
        return self.after_xy[0] * self.after_xy[1] / 1e6 / max(self.seconds, 1e-9)

    def line(self) -> str:
        """Sizes, micrometres, method, time and speed."""
        before = f"{self.source.name} {_size(self.before_xy)} ({mpp_in_words(self.mpp_before)})"
        after = f"{self.target} {_size(self.after_xy)} ({mpp_in_words(self.mpp_after)})"
        speed = f"{self.seconds:.1f} s, {self.megapixels_per_second:.3g} MP/s"
        return f"{before} -> {after}, {self.method}, {speed}"


@dataclass(frozen=True)
class Failure:
    """A file that was not written, and the sentence that says why.

    Attributes:
        was_tried: whether it failed itself, or the run stopped at an earlier one.
        trace: the traceback, if a bug of this package is the reason.
    """

    source: Path
    sentence: str
    was_tried: bool = True
    trace: str = ""

    @classmethod
    def of(cls, source: Path, error: Exception) -> "Failure":
        """The failure of a file that ended with an exception of any kind."""
        found = explained(error, source)
        sentence = str(found)
        if isinstance(found, ScaleError):  # a size may be impossible for one file alone
            sentence = f"{source}: {sentence}"
        return cls(source, sentence, trace=found.trace if isinstance(found, UnexpectedError) else "")


def mpp_in_words(mpp: Mpp | None) -> str:
    """Three digits; both axes where they differ."""
    if mpp is None:
        return "um/px unknown"
    x, y = (f"{side:.3g}" for side in mpp)
    return f"{x} um/px" if x == y else f"{x} x {y} um/px"


def _size(size_xy: tuple[int, int]) -> str:
    return f"{size_xy[0]} x {size_xy[1]}"


class Work(NamedTuple):
    """Seconds spent on each kind of work, summed over processes: more than the clock shows.

    Attributes:
        interpolation: bicubic, on background or without a model, and blending it with the model's pixels.
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
    """Small views of the region before and after, as JPEG bytes; None if a view would take long to make."""

    source: bytes | None = None
    target: bytes | None = None


@dataclass(frozen=True)
class SlideOutcome(Outcome):
    """A slide that was written; what was not measured is None.

    Attributes:
        provenance: the record in the file: model, weights' hash, precision, power.
        power_before: objective power of the source.
        device: name of the processor that computed.
        workers: number of processes that computed.
        tile_px: side of an output tile.
        tissue_share: of the area; None if no tissue was looked for.
        work: seconds for each kind of work.
        peak_mib: most memory that all processes together held at once.
        views: the region before and after.
    """

    provenance: Provenance | None = None
    power_before: float | None = None
    device: str | None = None
    workers: int | None = None
    tile_px: int | None = None
    tissue_share: float | None = None
    work: Work | None = None
    peak_mib: float | None = None
    views: Views = field(default=Views(), repr=False)


@dataclass(frozen=True)
class Invocation:
    """One call of the program.

    Attributes:
        command: as a person would type it again.
        started: with its time zone.
    """

    command: str
    started: datetime
    seconds: float
