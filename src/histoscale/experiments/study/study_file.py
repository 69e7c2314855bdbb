"""The file of ``histoscale study``: methods, their common recipe and budget, and their comparison."""

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
        queries: pixels sampled from a patch, for decoders of single pixels; 0 for whole patches.
        scales: a model is trained for each of these scales, and they share the budget; empty for one model of
            any scale.
        loss: for methods that cannot be trained by Eq. 1 on sampled pixels.
        undertrained: why the method needs more training than others; its row is marked if it had few patches.
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
        reference: label of the row that the others are tested against; the last row if empty.
        limit: largest number of images of each data set; 0 for all.
        crop_px: side of the central crop that is used of each image; 0 for whole images.
        patch_px: side of the patches of a Frechet distance; small crops need small patches.
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
    """The keys that all methods of a study share; ``minutes`` and ``steps`` are the budget of one method."""

    data: DataTable
    training: TrainingTable
    validation: ValidationTable = ValidationTable()
    card: CardTable = CardTable()


class Study(Recipe):
    """One study file.

    Attributes:
        seeds: each method is trained once from each seed.
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
                raise ValueError(f"two methods are called {label}: rename one")
            if label == BICUBIC:
                raise ValueError("bicubic is in every comparison and cannot be trained: leave it out")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds has a seed twice")
        return self

    @model_validator(mode="after")
    def _comparable(self) -> "Study":
        # Otherwise these mistakes would come up only after the trainings.
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
        """Replace the budget of each method, unless both are 0.

        Minutes are of processor time, whatever the recipe says, because trainings at the same time slow each
        other down.
        """
        if not (minutes or steps):
            return self
        budget = {"minutes": minutes, "steps": steps} | ({"clock": "core"} if minutes else {})
        return self.model_copy(update={"training": TrainingTable(**(self.training.model_dump() | budget))})

    def only(self, labels: tuple[str, ...]) -> "Study":
        """Select methods by label; all if there are no labels.

        If the reference is not among them, the last method is the reference.

        Raises:
            ConfigError: if there is no method of a label.
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
        recipe: a file that replaces the study's recipe, including keys of the recipe in the study file.
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


# The trainings of a study: every method, scale and seed by one recipe and one budget.


class PlannedRun(NamedTuple):
    """One training of a study.

    Attributes:
        label: its row in the tables.
        undertrained: whether the method needs more training than others.
    """

    label: str
    seed: int
    run: Run
    undertrained: bool


def members(study: Study) -> list[PlannedRun]:
    """List the trainings of a study: all methods from the first seed, then from the next.

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
    """Make a run from the recipe, the method's model, and its share of the budget."""
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
                f"{method.label} splits its steps over {parts} scales: give at least {parts} steps, not "
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
