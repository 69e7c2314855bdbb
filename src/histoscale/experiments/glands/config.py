"""The run file of ``histoscale glands``: images, models, the U-Net; and the settings of Table 5."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field, model_validator

from histoscale.config import ExpandedPath, Positive, Share, Table
from histoscale.experiments.downstream.config import DownstreamRun
from histoscale.experiments.downstream.settings import ORIGINAL

LR = "lr"
"""The kind of low-resolution images; the other kinds are originals, bicubic, and the models' images."""


class GlandData(Table):
    """The images, and how they are split.

    Attributes:
        root: folder with ``manifest.csv``, which has the columns mask, patient and those of the splits.
        split: "manifest" for its column ``split``, in which parts share no patients; "official" for the split
            of the challenge, in which the training images and the test parts A and B do.
        scale: of the low-resolution images, which are downsampled by plain bicubic.
    """

    root: ExpandedPath = Field(Path("$HISTOSCALE_DATA"), validate_default=True)
    sets: tuple[str, ...] = ("glas",)
    split: Literal["manifest", "official"] = "manifest"
    scale: Annotated[int, Field(ge=2, le=8)] = 4


class NetworkTable(Table):
    """MONAI's U-Net.

    Attributes:
        channels: of each level; each has half the resolution of the one above.
        residual_units: of each level.
        shrink: every input except low resolution is averaged over shrink x shrink pixels, so that a patch
            shows more tissue.
    """

    channels: Annotated[tuple[Positive, ...], Field(min_length=2)] = (16, 32, 64, 128, 256)
    residual_units: Annotated[int, Field(ge=0)] = 2
    shrink: Positive = 1

    @property
    def multiple_px(self) -> int:
        """Sides of images are padded to a multiple of this."""
        return int(2 ** (len(self.channels) - 1))


class GlandTraining(Table):
    """How every U-Net is trained.

    Attributes:
        patch_px: side of an input patch; half of it for low-resolution images.
        rate: AdamW's highest step size, reached after the share ``warmup`` of the steps; then it falls to 0
            by half a cosine.
        validate_every: number of steps between two measurements of Dice on validation images.
    """

    steps: Positive = 1200
    batch: Positive = 4
    patch_px: Positive = 256
    rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Share = 0.05
    log_every: Positive = 10
    validate_every: Positive = 250
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 1.0


class ObjectTable(Table):
    """How glands are separated.

    Attributes:
        boundary_px: width of the boundary class at full resolution.
        smallest_px: area of the smallest object that is kept.
        sizes_px: smallest areas of a medium and of a large gland.
    """

    boundary_px: Positive = 6
    smallest_px: Positive = 300
    sizes_px: tuple[Positive, Positive] = (5000, 15000)


class GlandRun(DownstreamRun):
    """One run file."""

    low_resolution: ClassVar[str] = LR

    data: GlandData
    network: NetworkTable = NetworkTable()
    training: GlandTraining = GlandTraining()
    objects: ObjectTable = ObjectTable()

    @model_validator(mode="after")
    def _multiples(self) -> "GlandRun":
        if self.training.patch_px % (2 * self.network.multiple_px):
            raise ValueError(f"training.patch_px has to be a multiple of {2 * self.network.multiple_px} here")
        if self.data.scale % self.network.shrink:
            raise ValueError(f"network.shrink has to divide data.scale, which is {self.data.scale}")
        return self


# The settings of Table 5: the paper's four, and those that make them fair.


Way: TypeAlias = Literal["test", "train", "both"]
"""On which side a kind of images replaces the originals."""
WAYS: tuple[Way, ...] = get_args(Way)
WORDS: dict[Way, str] = {
    "test": "trained on originals, tested on these",
    "train": "trained on these, tested on originals",
    "both": "trained and tested on these",
}


class UNetSetting(NamedTuple):
    """The kinds of images that a U-Net is trained and tested on."""

    trained_on: str
    tested_on: str


def setting_of(way: Way, kind: str) -> UNetSetting:
    """Make the setting in which a kind of images replaces the originals."""
    return UNetSetting(ORIGINAL if way == "test" else kind, ORIGINAL if way == "train" else kind)


def all_settings(kinds: Sequence[str]) -> list[UNetSetting]:
    """List every setting once."""
    return list(dict.fromkeys(setting_of(way, kind) for way in WAYS for kind in kinds))


def kinds_tested(trained_on: str, kinds: Sequence[str]) -> list[str]:
    """List the kinds of images that a U-Net trained on one kind is tested on."""
    return [setting.tested_on for setting in all_settings(kinds) if setting.trained_on == trained_on]
