"""What a figure of the page is: drawn, or left out with the reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.figure import Figure

from histoscale.data.manifest import ImageRecord
from histoscale.experiments.figures.crops import Pair, Scene
from histoscale.experiments.figures.methods import Rows
from histoscale.experiments.images import Picture
from histoscale.imaging.degrade import Degradation


class Shown(NamedTuple):
    """A scene made small, and enlarged again by bicubic and by every model that can, by label."""

    scene: Scene
    pair: Pair
    made: dict[str, Picture]


@dataclass(frozen=True)
class Material:
    """What all figures are made from.

    Attributes:
        records: every image of the data asked for.
        shown: those that figures show, in order.
        scale: of all figures but that of many scales.
    """

    records: tuple[ImageRecord, ...]
    shown: tuple[Shown, ...]
    rows: Rows
    scale: float
    degradation: Degradation

    @property
    def one_a_set(self) -> list[Shown]:
        """The first image of each data set."""
        first: dict[str, Shown] = {}
        for shown in self.shown:
            first.setdefault(shown.scene.record.set, shown)
        return list(first.values())

    @property
    def setting(self) -> str:
        """Scale and degradation, for a caption."""
        return f"x{self.scale:g}, degradation {self.degradation}"


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: of its PNG, without the suffix.
        section: what stands above it on the page; figures of one section follow each other.
        credit: which weights made it, may be empty.
    """

    name: str
    section: str
    caption: str
    figure: Figure
    credit: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A figure that this run cannot have, and why."""

    section: str
    reason: str


def why_not(labels: Collection[str], rows: Rows, made: Sequence[Mapping[str, Picture]]) -> str:
    """Why a figure of some labels cannot be drawn from some enlargements; empty where it can."""
    absent = rows.lacking(labels)
    if absent:
        wanted = ", ".join(f"-m {label}=WEIGHTS" for label in absent)
        return f"Left out: it needs the row{'s' if len(absent) > 1 else ''} {wanted}."
    unable = [label for label in labels if any(label not in pictures for pictures in made)]
    return f"Left out: {unable[0]} does not make its scales." if unable else ""
