"""The file of ``histoscale study``: methods, one recipe and one budget for all, and how they are compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from histoscale.config import (
    CardTable,
    DataTable,
    LossTable,
    ModelTable,
    Run,
    Table,
    TrainingTable,
    ValidationTable,
)
from histoscale.errors import ConfigError
from histoscale.experiments.compare.paper_tables import PRESETS
from histoscale.experiments.frechet_distance import PATCH_PX
from histoscale.experiments.methods import BICUBIC, LABEL
from histoscale.imaging.degrade import Degradation
from histoscale.run_file import check_tables, combine, override, read_content, read_tables


class StudyMethod(Table):
    """One row of the study's tables.

    Attributes:
        label: the row's name.
        queries: pixels sampled from a patch, for decoders that answer pixel by pixel; 0 for whole patches.
        scales: a model of its own for each of these, which share the budget; empty for any scale.
        loss: of its own, where Eq. 1 on these pixels is not what its parts can learn from.
        undertrained: why it takes more than most to show what it can, if it does; with few patches its row is
            marked.
    """

    label: Annotated[str, Field(pattern=f"^{LABEL}$")]
    model: ModelTable
    queries: Annotated[int, Field(ge=0)] = 0
    scales: tuple[int, ...] = ()
    loss: LossTable = LossTable()
    undertrained: str = ""


class ComparisonTable(Table):
    """How the trained methods are compared, see `histoscale.experiments.compare.compare.compare`.

    Attributes:
        reference: label of the row that the others are tested against; the last one if empty.
        limit, crop_px: at most so many images of a set, and only their middle; 0 for all.
        patch_px: side of the patches that a Frechet distance is of; small crops want small ones.
    """

    presets: tuple[str, ...] = ("table1", "table2")
    reference: str = ""
    sets: tuple[str, ...] = ()
    split: str = "test"
    degradations: tuple[Degradation, ...] = ("B",)
    limit: Annotated[int, Field(ge=0)] = 0
    crop_px: Annotated[int, Field(ge=0)] = 0
    patch_px: Annotated[int, Field(gt=0)] = PATCH_PX


class Recipe(Table):
    """What all methods of a study have in common; ``minutes`` and ``steps`` are of one method."""

    data: DataTable
    training: TrainingTable
    validation: ValidationTable = ValidationTable()
    card: CardTable = CardTable()


class Study(Recipe):
    """One study file: its recipe, and what it is for.

    Attributes:
        seeds: as many trainings of each method.
        comparison: what is done with the weights.
    """

    name: str
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    comparison: ComparisonTable = ComparisonTable()
    methods: Annotated[tuple[StudyMethod, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _named_once(self) -> "Study":
        labels = [method.label for method in self.methods]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two methods are called {label}")
            if label == BICUBIC:
                raise ValueError("bicubic is in every comparison and no method to be trained")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed stands twice in seeds")
        return self

    @model_validator(mode="after")
    def _compared_to_what_is_there(self) -> "Study":
        """What would else come up only after the trainings."""
        known = (BICUBIC, *(method.label for method in self.methods))
        if self.comparison.reference not in ("", *known):
            raise ValueError(
                f"comparison.reference {self.comparison.reference} is none of {', '.join(known)}"
            )
        for preset in self.comparison.presets:
            if preset not in PRESETS:
                raise ValueError(f"comparison.presets: {preset} is none of {', '.join(PRESETS)}")
        return self

    def with_budget(self, minutes: float = 0.0, steps: int = 0) -> "Study":
        """The same study with another budget a method; its own where both are 0.

        Minutes are of processor time whatever the recipe says: trainings side by side share the clock's.
        """
        if not (minutes or steps):
            return self
        budget = {"minutes": minutes, "steps": steps} | ({"clock": "core"} if minutes else {})
        return self.model_copy(update={"training": TrainingTable(**(self.training.model_dump() | budget))})

    def only(self, labels: tuple[str, ...]) -> "Study":
        """The methods of these labels, all if none is given; the last is the reference where it is left out.

        Raises:
            ConfigError: for a label that is not there.
        """
        known = {method.label: method for method in self.methods}
        for label in labels:
            if label not in known:
                raise ConfigError(
                    f"Study {self.name} has no method {label!r}: choose one of {', '.join(known)}."
                )
        chosen = {label: known[label] for label in labels or known}
        reference = self.comparison.reference if self.comparison.reference in (BICUBIC, *chosen) else ""
        comparison = self.comparison.model_copy(update={"reference": reference})
        return self.model_copy(update={"methods": tuple(chosen.values()), "comparison": comparison})


def read_study(path: Path, recipe: Path | None = None, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study file.

    Args:
        path: TOML. Its key ``recipe`` names a file beside it whose tables it shares.
        recipe: a file that replaces the study's own recipe, the keys that the study gives itself included.
        overrides: ``KEY=VALUE`` each, overriding both files, see `histoscale.run_file.override`.

    Raises:
        ConfigError: if a file is missing, is not TOML, or a key or value is wrong.
    """
    content, paths = read_content(path), [path]
    if recipe is not None:
        read_tables(recipe, Recipe)  # checks that the file is a recipe and nothing else
        own = {name: table for name, table in content.items() if name not in Recipe.model_fields}
        content, paths = combine(own, read_content(recipe)), [recipe, path]
    return check_tables(override(content, overrides, Study), Study, paths, overrides)


# The runs that a study stands for: every method, scale and seed under one recipe and one budget.


class PlannedRun(NamedTuple):
    """One training of a study; ``label`` is its row in the tables."""

    label: str
    seed: int
    run: Run
    undertrained: bool


def members(study: Study) -> list[PlannedRun]:
    """Every training of a study: all methods of the first seed, then of the next.

    Raises:
        ConfigError: if a method has fewer steps than scales to split them over.
    """
    return [
        PlannedRun(method.label, seed, _run(study, method, seed, scale), bool(method.undertrained))
        for seed in study.seeds
        for method in study.methods
        for scale in method.scales or (None,)
    ]


def _run(study: Study, method: StudyMethod, seed: int, scale: int | None) -> Run:
    """One run: the recipe, the method's model, and its share of the budget."""
    arguments: dict[str, Any] = dict(method.model.arguments)
    data: dict[str, Any] = {"queries": method.queries}
    training: dict[str, Any] = {}
    validation: dict[str, Any] = {}
    name = method.label
    if scale is not None:
        name += f"-x{scale}"
        arguments["scale"] = scale
        data["scales"] = validation["scales"] = (float(scale),)
        parts = len(method.scales)
        if 0 < study.training.steps < parts:
            raise ConfigError(
                f"{method.label} splits its steps over {parts} scales: give at least {parts}, not "
                f"{study.training.steps}."
            )
        training = {"minutes": study.training.minutes / parts, "steps": study.training.steps // parts}
    limits = (method.undertrained,) if method.undertrained else ()
    return Run(
        name=f"{name}-seed{seed}",
        seed=seed,
        model=ModelTable(**(method.model.model_dump() | {"arguments": arguments})),
        loss=method.loss,
        data=DataTable(**(study.data.model_dump() | data)),
        training=TrainingTable(**(study.training.model_dump() | training)),
        validation=ValidationTable(**(study.validation.model_dump() | validation)),
        card=CardTable(**(study.card.model_dump() | {"limits": (*study.card.limits, *limits)})),
    )
