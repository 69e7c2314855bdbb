"""The material of the figures: scenes, models and the images of every method; and drawn figures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.figure import Figure

from histoscale.data.manifest import ImageRecord
from histoscale.experiments.figures.crops import CropPair, Scene
from histoscale.experiments.images import RgbImage, upscale_each
from histoscale.experiments.methods import BICUBIC, Method
from histoscale.imaging.degrade import Degradation
from histoscale.models.base import SuperResolver
from histoscale.resources import Precision


class Models:
    """The models of a page by label.

    Args:
        methods: see `histoscale.experiments.methods.read_methods`. The first seed of each label is used.
    """

    def __init__(self, methods: Sequence[Method], precision: Precision = "fp32", device: str = "cpu"):
        self.methods: dict[str, Method] = {}
        for method in methods:
            self.methods.setdefault(method.label, method)
        self.precision, self.device = precision, device

    def missing(self, labels: Collection[str]) -> list[str]:
        """List the labels without weights."""
        return [label for label in labels if label not in self.methods]

    def load(self, label: str, scale: float) -> SuperResolver:
        """Load the model of a label for a scale, once in a process.

        Raises:
            WeightsError: if the weights are missing or damaged.
        """
        return self.methods[label].at(scale).file.load(self.device)

    def upscaled(
        self, pair: CropPair, scale: float, labels: Sequence[str] | None = None
    ) -> dict[str, RgbImage]:
        """Upscale a low-resolution image by bicubic and by every model that supports the scale.

        Args:
            labels: only these models, and bicubic.
        """
        names = self.methods if labels is None else labels
        models = {label: self.load(label, scale) for label in names}
        made = upscale_each(pair.lr, pair.size, models, self.precision, self.device)
        return {one.method: one.bytes for one in made if one.bytes is not None}

    def credit(self, labels: Sequence[str], scales: Sequence[float]) -> str:
        """Write the weights of some labels at some scales, for a caption."""
        words = []
        for method in (self.methods[label] for label in labels if label != BICUBIC):
            digests = dict.fromkeys(method.at(scale).file.digest for scale in scales)
            words.append(f"{method.name} {', '.join(digests)}")
        return "; ".join(words)


class Example(NamedTuple):
    """A scene, downsampled, and upscaled by bicubic and by every model that supports the scale, by label."""

    scene: Scene
    pair: CropPair
    upscaled: dict[str, RgbImage]


@dataclass(frozen=True)
class Material:
    """The material of all figures.

    Attributes:
        records: every image of the data.
        examples: the images that figures show, in order.
        scale: of all figures except the one of many scales.
    """

    records: tuple[ImageRecord, ...]
    examples: tuple[Example, ...]
    models: Models
    scale: float
    degradation: Degradation

    @property
    def one_per_set(self) -> list[Example]:
        """The first example of each data set."""
        first: dict[str, Example] = {}
        for example in self.examples:
            first.setdefault(example.scene.record.set, example)
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
        section: its heading on the page; the figures of a section follow each other.
        credit: its weights, may be empty.
    """

    name: str
    section: str
    caption: str
    figure: Figure
    credit: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A figure that cannot be drawn, and why."""

    section: str
    reason: str


def why_left_out(labels: Collection[str], models: Models, upscaled: Sequence[Mapping[str, RgbImage]]) -> str:
    """Write why a figure of some labels cannot be drawn; empty if it can.

    Args:
        upscaled: the images of each scene or scale that the figure shows, by label.
    """
    absent = models.missing(labels)
    if absent:
        needed = ", ".join(f"-m {label}=WEIGHTS" for label in absent)
        return f"Left out: it needs the row{'s' if len(absent) > 1 else ''} {needed}."
    unable = [label for label in labels if any(label not in images for images in upscaled)]
    return f"Left out: {unable[0]} does not support these scales." if unable else ""
