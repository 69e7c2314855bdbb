"""The run file of ``histoscale cancer``: patches and classes, the classifier, the models."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from histoscale.config import ExpandedPath, Positive, Share, Table, expanded
from histoscale.errors import ConfigError
from histoscale.experiments.downstream.config import DownstreamRun, Name

Depth = Literal[10, 18, 34, 50, 101, 152]
"""Depths of the ResNets of He et al. (CVPR 2016), and MONAI's of ten layers."""


class TaskTable(Table):
    """Two classes.

    Attributes:
        column: of the list of patches, with the classes; patches with other values are left out.
        where: values that other columns must have.
    """

    name: Name
    column: str
    positive: str
    negative: str
    where: dict[str, str] = Field(default_factory=dict)


class PatchTable(Table):
    """Where the patches are: a list of patches in larger images, or PCam as it is published.

    Attributes:
        root: folder of all relative paths, here and in the list.
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
            raise ValueError("give either patches or pcam")
        if (self.patches is None) == bool(self.tasks):
            raise ValueError("tasks is needed with patches, and not allowed with pcam")
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError("tasks has a name twice")
        return self

    def expanded(self) -> "PatchTable":
        """Replace the variables in ``root``; this is not needed to make tables again.

        Raises:
            ConfigError: if one is not set.
        """
        try:
            return self.model_copy(update={"root": expanded(self.root)})
        except ValueError as error:
            raise ConfigError(f"data.root: {error}.") from error


class ClassifierTable(Table):
    """The classifier and its training on the originals, once for each task and seed.

    Attributes:
        depth: layers of the ResNet; 50 in the paper.
        steps: of AdamW. The rate rises over the share ``warmup`` of them, then falls to 0 by half a cosine.
        stain_jitter: largest relative change of a channel's optical density; 0 for none.
        checkpoint_minutes: how often the state is saved.
        threads: of the processor; 0 for the default of torch.
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


class CancerRun(DownstreamRun):
    """One run file.

    Attributes:
        scale: of the low-resolution images, which are downsampled by plain bicubic.
        reference: the setting that the others are tested against; the last model if empty.
        draws: number of resampled sets of test images behind each interval.
    """

    scale: Annotated[int, Field(ge=2)] = 2
    reference: str = ""
    draws: Annotated[int, Field(ge=100)] = 2000
    data: PatchTable
    classifier: ClassifierTable = ClassifierTable()

    @model_validator(mode="after")
    def _known_reference(self) -> "CancerRun":
        if self.tested_against not in self.kinds:
            raise ValueError(f"reference {self.reference} is not one of {', '.join(self.kinds)}")
        return self

    @property
    def tested_against(self) -> str:
        """Name of the reference."""
        return self.reference or self.kinds[-1]
