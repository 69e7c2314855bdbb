"""The tables of a training's run file. An unknown key is an error that names the known ones."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from histoscale.data.pairs import PairRecipe
from histoscale.errors import ConfigError
from histoscale.imaging.degrade import Degradation
from histoscale.resources import PrecisionChoice
from histoscale.run_file import check_tables, combine, find_value, override, read_content, split_key

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def expanded(path: Path) -> Path:
    """A path with its ``$VARIABLES`` replaced; an empty one counts as not set.

    Raises:
        ValueError: if one is not set.
    """

    def value(variable: re.Match[str]) -> str:
        if not (found := os.environ.get(variable[1] or variable[2])):
            raise ValueError(f"{path} names a variable that is not set")
        return found

    return Path(re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, str(path)))


ExpandedPath = Annotated[Path, AfterValidator(expanded)]
"""A path whose ``$VARIABLES`` are replaced."""


class Table(BaseModel):
    """A table of a run file: frozen, closed to unknown keys and to numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelTable(Table):
    """Which model: a name in the catalogue and the arguments to build it.

    Attributes:
        start_from: weights; their tensors of the same name and shape are copied before the training.
    """

    name: str
    arguments: dict[str, Any] = {}
    start_from: Path | None = None


class DataTable(Table):
    """Which images, and how pairs are made of them; see `histoscale.data.pairs.PairRecipe`.

    Attributes:
        on_device: keep the images on the device and degrade there, for GPUs.
    """

    root: ExpandedPath = Field(Path("$HISTOSCALE_DATA"), validate_default=True)
    sets: tuple[str, ...] = ()
    split: str = "train"
    scale_range: tuple[float, float] = (1.0, 4.0)
    scales: tuple[float, ...] = ()
    scale_per: Literal["batch", "sample"] = "batch"
    patch_px: Positive = 48
    largest_hr_px: Positive = 192
    queries: Annotated[int, Field(ge=0)] = 0
    degradations: dict[Degradation, Annotated[float, Field(gt=0)]] = {"B": 1.0}
    noise_sigma: Annotated[float, Field(ge=0)] = 0.0
    jpeg_share: Share = 0.0
    jpeg_quality: tuple[int, int] = (70, 95)
    augment: bool = True
    on_device: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "DataTable":
        if self.scale_per == "sample" and not self.queries:
            raise ValueError('scale_per = "sample" needs queries: whole grids of unlike sizes make no batch')
        scales = self.scales or self.scale_range
        if not (min(scales) >= 1 and math.isfinite(max(scales))):
            raise ValueError("scales start at 1 and are finite")
        if self.scale_range[0] > self.scale_range[1] or self.jpeg_quality[0] > self.jpeg_quality[1]:
            raise ValueError("a range goes from the smaller to the larger number")
        if self.on_device and (self.noise_sigma or self.jpeg_share or self.scale_per == "sample"):
            raise ValueError("pairs that are made on_device have no noise, no JPEG and no scale per sample")
        return self

    def recipe(self) -> PairRecipe:
        """The keys that decide how a pair is made."""
        return PairRecipe(**{name: getattr(self, name) for name in PairRecipe.__dataclass_fields__})


class TrainingTable(Table):
    """Optimiser, schedule and budget.

    Attributes:
        steps: number of steps of the run; or
        minutes: duration of the run, whose schedule then follows the time.
        clock: "wall" for elapsed minutes; "core" for minutes of processor time, for fair comparisons.
        rate: largest step size of Adam; it is reached after the share ``warmup`` of the run.
        schedule: "cosine" to ``final_rate``, "milestones" (halved at these shares of the run), "staircase"
            (``stairs`` equal parts, the rate multiplied by ``stair`` after each) or "constant".
        restarts: shares of the run at which the schedule starts again.
        epsilon, weight_decay: arguments of Adam.
        clip: largest gradient norm; 0 for no clipping.
        average: decay of the moving average of the weights, ramped by (1 + t) / (10 + t); 0 for none.
        checkpoint_minutes: how often the state is written.
    """

    steps: Annotated[int, Field(ge=0)] = 0
    minutes: Annotated[float, Field(ge=0)] = 0.0
    clock: Literal["wall", "core"] = "wall"
    batch: Positive = 16
    rate: Annotated[float, Field(gt=0)] = 1e-4
    final_rate: Annotated[float, Field(gt=0)] = 1e-7
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: Share = 0.0
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["cosine", "milestones", "staircase", "constant"] = "constant"
    milestones: tuple[float, ...] = ()
    stairs: Annotated[int, Field(ge=0)] = 0
    stair: Annotated[float, Field(gt=0, le=1)] = 0.5
    restarts: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    clip: Annotated[float, Field(ge=0)] = 0.0
    average: Share = 0.0
    precision: PrecisionChoice = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] = 0
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 5.0
    log_every: Positive = 50

    @model_validator(mode="after")
    def _one_budget(self) -> "TrainingTable":
        if (self.schedule == "milestones") != bool(self.milestones):
            raise ValueError('schedule = "milestones" and its milestones go together')
        if (self.schedule == "staircase") != bool(self.stairs):
            raise ValueError('schedule = "staircase" and its stairs go together')
        if (self.steps > 0) == (self.minutes > 0):
            raise ValueError("exactly one of steps and minutes sets the length of a run")
        return self


class LossTable(Table):
    """The loss of a training; each kind but "l1" works with one model only.

    Attributes:
        kind: "l1" is Eq. 1; "wavelets" is the published loss of swdnet, "adversarial" that of li2021;
            "residual" is for iste-plus, whose base can learn from whole patches.
        spatial_share: wavelets: share of the run in which the spatial stage learns alone.
        adversarial_weight: adversarial: weight of the adversary's answer; L1 has the rest.
        adversary_rate: adversarial: step size of the adversary; that of the model is ``training.rate``.
        curriculum: adversarial: let the factor of degradation grow in the first half of the run.
        base_share: residual: share of the run in which the base learns alone.
        points: residual: number of pixels of each patch at which the sum of base and branches learns.
    """

    kind: Literal["l1", "wavelets", "adversarial", "residual"] = "l1"
    spatial_share: Share = 0.5
    adversarial_weight: Share = 0.01
    adversary_rate: Annotated[float, Field(gt=0)] = 1e-5
    curriculum: bool = False
    base_share: Share = 0.5
    points: Positive = 576


class ValidationTable(Table):
    """What is measured during the training: PSNR (whole image, RGB, uint8) on centre crops."""

    sets: tuple[str, ...] = ()
    split: str = "val"
    scales: tuple[float, ...] = (2.0, 3.0, 4.0)
    degradation: Degradation = "B"
    crop_px: Positive = 384
    images_per_set: Positive = 8
    minutes: Annotated[float, Field(gt=0)] = 10.0


class CardTable(Table):
    """What the card of the weights says besides the settings of the run.

    Attributes:
        licence: of the weights.
        data_licences: of each training set.
        limits: sentences on what the weights should not be used for.
        history: earlier trainings of the same weights.
    """

    licence: str = "not stated"
    data_licences: dict[str, str] = {}
    limits: tuple[str, ...] = ()
    history: tuple[str, ...] = ()


class Run(Table):
    """One run file."""

    name: str
    seed: int = 1
    model: ModelTable
    data: DataTable
    training: TrainingTable
    loss: LossTable = LossTable()
    validation: ValidationTable = ValidationTable()
    card: CardTable = CardTable()

    def trains_as(self, other: "Run") -> bool:
        """Whether both describe the same training; the precision depends on the processor and is left out."""
        same = {"training": other.training.model_copy(update={"precision": self.training.precision})}
        return self == other.model_copy(update=same)


def read_run(path: Path, overrides: Sequence[str] = ()) -> Run:
    """Read and check a run file.

    ``{KEY}`` in ``name`` and ``model.start_from`` stands for the value of that key of the run.

    Args:
        path: TOML.
        overrides: ``KEY=VALUE`` each, overriding the file's, see `histoscale.run_file.override`.

    Raises:
        ConfigError: if the file is missing, is not TOML, or a key or value is wrong.
    """
    content = override(read_content(path), overrides, Run)
    for keys in (("name",), ("model", "start_from")):
        text = find_value(content, keys)
        if isinstance(text, str):
            filled = _fill(text, content, path)
            content = combine(
                content, {"model": {"start_from": filled}} if len(keys) > 1 else {"name": filled}
            )
    return check_tables(content, Run, [path], overrides)


def _fill(text: str, content: dict[str, Any], path: Path) -> str:
    """Replace each ``{KEY}`` by the value of that key; the values of a list are joined by ``-``."""

    def value(match: re.Match[str]) -> str:
        found = find_value(content, split_key(match[1], Run)[0])
        if found in (None, [], ""):
            raise ConfigError(f"{path}: {text} needs a value of {match[1]}: give --set {match[1]}=...")
        return "-".join(str(part) for part in found) if isinstance(found, list) else str(found)

    return re.sub(r"\{([\w.-]+)\}", value, text)
