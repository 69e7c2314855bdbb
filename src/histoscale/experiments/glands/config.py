"""A run file of ``histoscale glands``: data, the enlargers compared, the U-Net and how it is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field, model_validator

from histoscale.config import ExpandedPath, Positive, PrecisionChoice, Share, Table
from histoscale.run_file import read_tables

ORIGINAL, LR, BICUBIC = "original", "lr", "bicubic"
"""Kinds of images beside those of the models: as scanned, low resolution as it is, enlarged by bicubic."""


class GlandData(Table):
    """Which images, and who trains and who tests.

    Attributes:
        root: folder with ``manifest.csv``, which has the columns mask, patient and those of the splits.
        split: "manifest" for its patient-disjoint column ``split``; "official" for the challenge's, whose
            training images and test parts A and B share patients.
        scale: how many times smaller low resolution is; plain bicubic, without blur.
    """

    root: ExpandedPath = Field(Path("$HISTOSCALE_DATA"), validate_default=True)
    sets: tuple[str, ...] = ("glas",)
    split: Literal["manifest", "official"] = "manifest"
    scale: Annotated[int, Field(ge=2, le=8)] = 4


class Enlarger(Table):
    """A super-resolution model: its column in the tables, and the name or path of its weights."""

    label: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    weights: str


class NetworkTable(Table):
    """MONAI's U-Net: channels of each level, of half the resolution of the one above, and residual units.

    Attributes:
        shrink: each pixel that it sees is the mean of so many a side, of originals as of enlarged images:
            a patch shows more tissue. Low resolution, which is small, it sees as it is.
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
        patch_px: side of a patch that the U-Net sees; half of it on low-resolution images, which are small.
        rate: Adam's step size at its height, after ``warmup`` of the steps, from where it falls as a cosine.
        validate_every: how often, in steps, Dice is measured on validation images for the curves.
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
    """How glands are told apart.

    Attributes:
        boundary_px: width of the class between gland and not gland, at full resolution.
        smallest_px: smaller objects are dropped.
        sizes_px: areas from which a gland is no longer small, and from which it is large.
    """

    boundary_px: Positive = 6
    smallest_px: Positive = 300
    sizes_px: tuple[Positive, Positive] = (5000, 15000)


class GlandRun(Table):
    """One run file.

    Attributes:
        device: "auto" for a GPU where there is one; "cpu", "cuda", "cuda:1", ...
        precision: of enlarging and training; "auto" is bf16 where it is native.
    """

    name: str
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 3)
    data: GlandData
    models: tuple[Enlarger, ...] = ()
    network: NetworkTable = NetworkTable()
    training: GlandTraining = GlandTraining()
    objects: ObjectTable = ObjectTable()

    @model_validator(mode="after")
    def _consistent(self) -> "GlandRun":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed stands twice in seeds")
        labels = [ORIGINAL, LR, BICUBIC, *(model.label for model in self.models)]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two columns would be called {label}")
        if self.training.patch_px % (2 * self.network.multiple_px):
            raise ValueError(f"patch_px has to be a multiple of {2 * self.network.multiple_px} here")
        if self.data.scale % self.network.shrink:
            raise ValueError(f"shrink has to divide the scale, {self.data.scale}")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of images, in the order of the columns."""
        return (ORIGINAL, LR, BICUBIC, *(model.label for model in self.models))


def read_gland_run(path: Path, overrides: Sequence[str] = ()) -> GlandRun:
    """Read and check a run file.

    Args:
        path: TOML.
        overrides: ``KEY=VALUE`` each, overriding the file's, see `histoscale.run_file.override`.

    Raises:
        ConfigError: if the file is missing, is not TOML, or a key or value is wrong.
    """
    return read_tables(path, GlandRun, overrides)


# Who is trained on what and tested on what: the paper's four settings, and those that make them fair.


Way: TypeAlias = Literal["test", "train", "both"]
"""On which side a kind of images stands in for the originals."""
WAYS: tuple[Way, ...] = get_args(Way)
WORDS: dict[Way, str] = {
    "test": "trained on originals, tested on these",
    "train": "trained on these, tested on originals",
    "both": "trained and tested on these",
}


class Setting(NamedTuple):
    """Kinds of images that a U-Net learns from and is tested on."""

    trained_on: str
    tested_on: str


def setting_of(way: Way, kind: str) -> Setting:
    """The setting in which a kind of images stands in for the originals."""
    match way:
        case "test":
            return Setting(ORIGINAL, kind)
        case "train":
            return Setting(kind, ORIGINAL)
        case "both":
            return Setting(kind, kind)


def all_settings(kinds: Sequence[str]) -> list[Setting]:
    """Every setting once."""
    return list(dict.fromkeys(setting_of(way, kind) for way in WAYS for kind in kinds))


def kinds_tested(trained_on: str, kinds: Sequence[str]) -> list[str]:
    """What a U-Net that learned from a kind of images is tested on."""
    return [setting.tested_on for setting in all_settings(kinds) if setting.trained_on == trained_on]
