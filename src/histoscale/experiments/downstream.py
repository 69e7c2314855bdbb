"""The keys that the run files of the downstream tasks share: seeds, precision and super-resolution models."""

from typing import Annotated, ClassVar, TypeVar

from pydantic import Field, model_validator

from histoscale.config import Table
from histoscale.experiments.methods import BICUBIC, LOW, ORIGINAL
from histoscale.resources import Compute, PrecisionChoice

NAME = r"^[\w.+*-]+$"


class NamedWeights(Table):
    """A super-resolution model: its name in the tables, and a shipped name or the path of its weights."""

    label: Annotated[str, Field(pattern=NAME)]
    weights: str


class DownstreamRun(Table):
    """The shared keys of a run file.

    Attributes:
        seeds: one network of each kind is trained per seed.
        precision: of upscaling and training; "auto" is bf16 where it is native.
        models: the super-resolution models that are compared.
    """

    low_resolution: ClassVar[str] = LOW

    name: str
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 3)
    precision: PrecisionChoice = "auto"
    models: tuple[NamedWeights, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "DownstreamRun":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds has a seed twice")
        for kind in self.kinds:
            if self.kinds.count(kind) > 1:
                raise ValueError(f"two kinds of images are called {kind}: give the model another label")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of images, in the order of the tables."""
        return (ORIGINAL, self.low_resolution, BICUBIC, *(model.label for model in self.models))

    @property
    def sources(self) -> dict[str, str]:
        """The models' weights by label."""
        return {model.label: model.weights for model in self.models}


RunT = TypeVar("RunT", bound=DownstreamRun)


def with_precision(run: RunT, compute: Compute) -> RunT:
    """Replace the precision by one that is given on the command line."""
    if compute.precision == "auto":
        return run
    return run.model_copy(update={"precision": compute.precision})
