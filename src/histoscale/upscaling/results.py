"""What came of a slide, with what its job measured on the way, and the run it was part of."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from histoscale.io.annotations import Rectangle, Roi, parse_region, read_roi
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Description, Mpp
from histoscale.resources import Precision
from histoscale.upscaling.geometry import Target
from histoscale.upscaling.options import Options

# What pictures and slides share: the field that is meant, the record in the file, remarks for the person.


SCALE_SLACK = 1e-3
"""Rounding to whole pixels moves a scale of 4 to 4.0003: no reason to warn."""
SAME_MPP = 0.01
"""Share by which a given mpp may differ from the recorded one without a remark."""


@dataclass(frozen=True)
class UsedModel:
    """A model as files and lines name it.

    Attributes:
        scales: least and largest that it was trained for.
        through: the one scale it makes, where bicubic takes that to others; else 0.
    """

    name: str
    sha256: str
    precision: Precision
    scales: tuple[float, float]
    through: int = 0

    @property
    def label(self) -> str:
        """Name and precision, as the output line shows them."""
        return f"{self.name} {self.precision}"


def known_mpp(header: Description, source_mpp: float | None) -> Mpp | None:
    """Micrometres per pixel: what the person knows goes before what the file says."""
    return Mpp(source_mpp, source_mpp) if source_mpp else header.mpp


def wanted_field(header: Description, options: Options) -> tuple[Rectangle, Roi | None]:
    """Which part of level 0 is meant, and the polygons in it, if somebody drew some.

    Raises:
        InputError: if region or polygons are wrong, empty or outside.
    """
    known = replace(header, mpp=known_mpp(header, options.source_mpp))
    if options.roi:
        roi = read_roi(options.roi, known)
        return roi.rectangle, roi
    if options.region:
        return parse_region(options.region, known), None
    return Rectangle((0, 0), header.size_xy), None


def record(header: Description, plan: Target, note: str, used: UsedModel | None) -> Provenance:
    """The note that goes into the file; ``used`` where a model took part."""
    made = Provenance(
        version=version("histoscale"),
        note=note,
        source=header.path.name,
        scale_xy=plan.scale_xy,
        mpp=plan.mpp,
        power=plan.power,
        earlier=header.provenance,
    )
    if used is None:
        return made
    return replace(made, model=used.name, weights_sha256=used.sha256, precision=used.precision)


def remarks(
    header: Description, plan: Target, used: UsedModel | None, source_mpp: float | None
) -> tuple[str, ...]:
    """Everything a person should know beside the line."""
    found = [*plan.remarks]
    if source_mpp and header.mpp:
        if any(abs(source_mpp / side - 1) > SAME_MPP for side in header.mpp):
            recorded = f"{header.mpp.x:.4g} of its {header.mpp_source}"
            found.append(f"--source-mpp {source_mpp:g} goes before the {recorded}")
    elif not source_mpp:
        found += [note for note in header.notes if note not in found]
    if used is not None:
        found += _resized(plan, used) if used.through else _outside_range(plan, used)
        if header.provenance and header.provenance.get("note") == SUPER_RESOLVED:
            found.append("the source was super-resolved before: its detail is already a prediction")
    return tuple(found)


def _resized(plan: Target, used: UsedModel) -> Iterator[str]:
    """A remark where another scale than the model's own was made of it."""
    if any(abs(max(scale, 1.0) / used.through - 1) > SCALE_SLACK for scale in plan.scale_xy):
        yield f"{used.name} makes x{used.through} only; bicubic took that to the size asked for"


def _outside_range(plan: Target, used: UsedModel) -> Iterator[str]:
    """A remark where the model works at a scale it was not trained for, along either axis."""
    low, high = used.scales
    grown = [max(scale, 1.0) for scale in plan.scale_xy]  # an axis that shrinks does so after the model
    outside = [s for s in grown if not low * (1 - SCALE_SLACK) <= s <= high * (1 + SCALE_SLACK)]
    shown = " and ".join(dict.fromkeys(f"x{scale:.4g}" for scale in outside))
    if shown:
        verb = "are" if " and " in shown else "is"
        range_ = f"x{low:g} to x{high:g}"
        yield f"{shown} {verb} outside the range {range_} that {used.name} was trained for"


# What came of a file, and the one line that says so.


@dataclass(frozen=True)
class Outcome:
    """A file that was written.

    Attributes:
        before_xy, after_xy: pixels.
        mpp_before, mpp_after: micrometres per pixel, where known.
        method: model and precision, or what was done without a model.
        seconds: from opening the source to closing the target.
        remarks: sentences a person should see.
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
        after = f"{self.target.name} {_size(self.after_xy)} ({mpp_in_words(self.mpp_after)})"
        speed = f"{self.seconds:.1f} s, {self.megapixels_per_second:.3g} MP/s"
        return f"{before} -> {after}, {self.method}, {speed}"


@dataclass(frozen=True)
class Failure:
    """A file that was not, and the sentence that says why.

    Attributes:
        was_tried: whether it failed itself, or the run stopped at an earlier one.
    """

    source: Path
    sentence: str
    was_tried: bool = True


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
