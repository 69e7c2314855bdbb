"""What pictures and slides share: the field that is meant, the record in the file, remarks for the person."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

from histoscale.slides import provenance
from histoscale.slides.description import Description, Mpp
from histoscale.slides.provenance import Provenance
from histoscale.slides.regions import Rectangle, Roi, parse_region, read_roi
from histoscale.workflows.processor import Precision
from histoscale.workflows.upscale.options import Options
from histoscale.workflows.upscale.target import Target

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
        if header.provenance and header.provenance.get("note") == provenance.SUPER_RESOLVED:
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
