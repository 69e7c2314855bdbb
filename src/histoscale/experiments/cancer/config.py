"""The run file of ``histoscale cancer``: which patches and classes, which classifier, which models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from histoscale.config import ExpandedPath, Positive, PrecisionChoice, Share, Table, expanded
from histoscale.errors import ConfigError
from histoscale.experiments.methods import BICUBIC, LOW, ORIGINAL
from histoscale.run_file import read_tables

Depth = Literal[10, 18, 34, 50, 101, 152]
"""Depths of the ResNets of He et al. (CVPR 2016), and MONAI's of ten layers."""
NAME = r"^[\w.+*-]+$"


class TaskTable(Table):
    """Two classes to be told apart, as a column of the list of patches tells them.

    Attributes:
        column: the one that holds the classes; patches with other values are left out.
        where: values that other columns must have.
    """

    name: Annotated[str, Field(pattern=NAME)]
    column: str
    positive: str
    negative: str
    where: dict[str, str] = Field(default_factory=dict)


class PatchTable(Table):
    """Where the patches are: a list of patches of larger pictures, or PCam as it is published.

    Attributes:
        root: folder that the other paths, and those in the list, start from; `there` finds it.
        patches: a CSV with the columns split, file, x, y (left and top pixel) and those of the tasks.
        patch_px: side of a patch of the list.
        pcam: folder of the HDF5 files; its one task is ``metastasis``.
    """

    root: Path = Path("$HISTOSCALE_DATA")
    patches: Path | None = None
    patch_px: Positive = 96
    tasks: tuple[TaskTable, ...] = ()
    pcam: ExpandedPath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "PatchTable":
        if (self.patches is None) == (self.pcam is None):
            raise ValueError("exactly one of patches and pcam says where the patches are")
        if (self.patches is None) == bool(self.tasks):
            raise ValueError("tasks go with a list of patches, and only with that")
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError("two tasks have the same name")
        return self

    def there(self) -> "PatchTable":
        """The same with the variables in ``root`` replaced, which tables of finished runs can do without.

        Raises:
            ConfigError: if one is not set.
        """
        try:
            return self.model_copy(update={"root": expanded(self.root)})
        except ValueError as error:
            raise ConfigError(f"data.root: {error}.") from error


class ClassifierTable(Table):
    """The classifier and how it is trained, once a task and seed, on the originals.

    Attributes:
        depth: layers of the ResNet; the paper's is 50.
        steps: of Adam with decoupled weight decay; the rate rises over the share ``warmup`` of them and then
            falls to 0 by a half cosine.
        stain_jitter: largest relative change of a channel's optical density; 0 for none.
        checkpoint_minutes: how often the state is written.
    """

    depth: Depth = 50
    steps: Positive = 1000
    batch: Annotated[int, Field(ge=2)] = 64
    rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    stain_jitter: Share = 0.1
    validate_every: Positive = 200
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 2.0
    threads: Annotated[int, Field(ge=0)] = 0


class ModelTable(Table):
    """A super-resolution model: its name in the tables, and a shipped name or the path of weights."""

    label: Annotated[str, Field(pattern=NAME)]
    weights: str


class CancerRun(Table):
    """One run file.

    Attributes:
        scale: of the low-resolution images, made by plain bicubic.
        reference: the setting that the others are tested against; the last model if empty.
        models: a setting each.
        precision: of classifiers and models; "auto" is bf16 where it is native.
        draws: resampled sets of test images behind each interval.
    """

    name: str
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 3)
    scale: Annotated[int, Field(ge=2)] = 2
    reference: str = ""
    precision: PrecisionChoice = "auto"
    draws: Annotated[int, Field(ge=100)] = 2000
    data: PatchTable
    classifier: ClassifierTable = ClassifierTable()
    models: tuple[ModelTable, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "CancerRun":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is named twice")
        for name in self.settings:
            if self.settings.count(name) > 1:
                raise ValueError(f"two settings are called {name}")
        if self.tested_against not in self.settings:
            raise ValueError(f"reference {self.reference} is none of {', '.join(self.settings)}")
        return self

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of all settings, in the order of the tables."""
        return (ORIGINAL, LOW, BICUBIC, *(model.label for model in self.models))

    @property
    def sources(self) -> dict[str, str]:
        """The models' weights by label."""
        return {model.label: model.weights for model in self.models}

    @property
    def tested_against(self) -> str:
        """Name of the reference."""
        return self.reference or self.settings[-1]


def read_run(path: Path, overrides: Sequence[str] = ()) -> CancerRun:
    """Read and check a run file.

    Args:
        path: TOML.
        overrides: ``KEY=VALUE`` each, overriding the file's, see `histoscale.run_file.override`.

    Raises:
        ConfigError: if the file is missing, is not TOML, or a key or value is wrong.
    """
    return read_tables(path, CancerRun, overrides)
