"""The keys that the run files of the downstream tasks share: seeds, device, precision and models."""

from typing import Annotated, ClassVar, TypeVar

from pydantic import Field, model_validator

from histoscale.config import Table
from histoscale.experiments.downstream.settings import LOW, ORIGINAL
from histoscale.experiments.methods import BICUBIC, LABEL
from histoscale.resources import Compute, PrecisionChoice

RunT = TypeVar("RunT", bound="DownstreamRun")
Name = Annotated[str, Field(pattern=f"^{LABEL}$")]
"""A name in the tables."""


class NamedWeights(Table):
    """A super-resolution model: its name in the tables, and the name or path of its weights."""

    label: Name
    weights: str


class DownstreamRun(Table):
    """The shared keys of a run file.

    Attributes:
        seeds: each network is trained once from each seed.
        device: "auto" is a GPU if there is one; "cpu", "cuda", "cuda:1", ...
        precision: of upscaling and training; "auto" is bf16 if the device multiplies it natively.
        models: the super-resolution models that are compared.
    """

    low_resolution: ClassVar[str] = LOW

    name: str
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 3)
    device: str = "auto"
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


def with_compute(run: RunT, compute: Compute) -> RunT:
    """Replace device and precision by those that are given on the command line."""
    given = {"device": compute.device, "precision": compute.precision}
    return run.model_copy(update={key: value for key, value in given.items() if value != "auto"})
