"""What came of a file, and the one line that says so."""

from dataclasses import dataclass
from pathlib import Path

from histoscale.slides.description import Mpp


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
