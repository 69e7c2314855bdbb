"""The models of a page by label, each loaded when a figure first needs it."""

from collections.abc import Collection, Sequence

from histoscale.experiments.figures.crops import Pair
from histoscale.experiments.images import Picture, upscale_each
from histoscale.experiments.methods import BICUBIC, Method
from histoscale.inference import Precision
from histoscale.models.base import SuperResolver


class Rows:
    """Bicubic and the models given; of several seeds of a label the first.

    Args:
        members: see `histoscale.experiments.methods.read_methods`.
    """

    def __init__(self, members: Sequence[Method], precision: Precision = "fp32", device: str = "cpu"):
        self.members: dict[str, Method] = {}
        for member in members:
            self.members.setdefault(member.label, member)
        self.precision, self.device = precision, device

    def lacking(self, labels: Collection[str]) -> list[str]:
        """Those of some labels that there are no weights for."""
        return [label for label in labels if label not in self.members]

    def model(self, label: str, scale: float) -> SuperResolver:
        """The model of a label for a scale.

        Raises:
            WeightsError: if the weights are missing or damaged.
        """
        return self.members[label].at(scale).file.load(self.device)

    def enlarged(self, pair: Pair, scale: float, labels: Sequence[str] | None = None) -> dict[str, Picture]:
        """What bicubic and the models make of a low-resolution image; those are missing that cannot.

        Args:
            labels: only these, and bicubic.
        """
        names = self.members if labels is None else labels
        models = {label: self.model(label, scale) for label in names}
        made = upscale_each(pair.lr, pair.size, models, self.precision, self.device)
        return {one.method: one.bytes for one in made if one.bytes is not None}

    def credit(self, labels: Sequence[str], scales: Sequence[float]) -> str:
        """Which weights made the pictures of some labels at some scales, for a caption."""
        words = []
        for member in (self.members[label] for label in labels if label != BICUBIC):
            digests = dict.fromkeys(member.at(scale).file.digest for scale in scales)
            words.append(f"{member.name} {', '.join(digests)}")
        return "; ".join(words)
