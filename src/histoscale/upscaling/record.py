"""The record of how an output was made, and the remarks that are printed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

from histoscale.io.annotations import Rectangle
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Description
from histoscale.resources import Precision
from histoscale.upscaling.fingerprint import content_digest
from histoscale.upscaling.geometry import OutputGeometry

SCALE_SLACK = 1e-3
"""Rounding to whole pixels moves a scale of 4 to 4.0003: no reason to warn."""
SAME_MPP = 0.01
"""Share by which a given mpp may differ from the recorded one without a remark."""


@dataclass(frozen=True)
class UsedModel:
    """A model as output files and messages name it.

    Attributes:
        scales: least and largest that it was trained for.
        through: its fixed scale, if bicubic interpolation resizes its output; else 0.
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


def record(
    header: Description, region: Rectangle, output: OutputGeometry, note: str, used: UsedModel | None
) -> Provenance:
    """The record for the file; ``used`` is None if no model took part."""
    made = Provenance(
        version=version("histoscale"),
        note=note,
        source=header.path.name,
        source_digest=content_digest(header.path),
        region=(*region.l0_xy, *region.size_xy),
        scale_xy=output.scale_xy,
        mpp=output.mpp,
        power=output.power,
        earlier=header.provenance,
    )
    if used is None:
        return made
    return replace(made, model=used.name, weights_sha256=used.sha256, precision=used.precision)


def remarks(
    header: Description, output: OutputGeometry, used: UsedModel | None, source_mpp: float | None
) -> tuple[str, ...]:
    """Sentences that are printed beside the line of sizes."""
    found = [*output.remarks]
    if source_mpp and header.mpp:
        if any(abs(source_mpp / side - 1) > SAME_MPP for side in header.mpp):
            recorded = f"{header.mpp.x:.4g} of its {header.mpp_source}"
            found.append(f"--source-mpp {source_mpp:g} overrides the {recorded}")
    elif not source_mpp:
        found += [note for note in header.notes if note not in found]
    if used is not None:
        found += _resized(output, used) if used.through else _outside_range(output, used)
        if header.provenance and header.provenance.get("note") == SUPER_RESOLVED:
            found.append("the source was super-resolved before: its detail is already a prediction")
    return tuple(found)


def _resized(output: OutputGeometry, used: UsedModel) -> Iterator[str]:
    """A remark if bicubic interpolation changed the model's scale."""
    if any(abs(max(scale, 1.0) / used.through - 1) > SCALE_SLACK for scale in output.scale_xy):
        yield f"{used.name} upscales by {used.through} only; bicubic interpolation did the rest"


def _outside_range(output: OutputGeometry, used: UsedModel) -> Iterator[str]:
    """A remark if the model was not trained for the scale of an axis."""
    low, high = used.scales
    grown = [scale for scale in output.scale_xy if scale >= 1]  # an axis that shrinks does so after the model
    outside = [s for s in grown if not low * (1 - SCALE_SLACK) <= s <= high * (1 + SCALE_SLACK)]
    shown = " and ".join(dict.fromkeys(f"x{scale:.4g}" for scale in outside))
    if shown:
        verb = "are" if " and " in shown else "is"
        range_ = f"x{low:g} to x{high:g}"
        yield f"{shown} {verb} outside the range {range_} that {used.name} was trained for"
