"""The runs that a study stands for: every method, scale and seed under one recipe and one budget."""

from typing import Any, NamedTuple

from histoscale.config import CardTable, DataTable, ModelTable, Run, TrainingTable, ValidationTable
from histoscale.errors import ConfigError
from histoscale.workflows.study.study_file import Method, Study


class Member(NamedTuple):
    """One training of a study; ``label`` is its row in the tables."""

    label: str
    seed: int
    run: Run
    undertrained: bool


def members(study: Study) -> list[Member]:
    """Every training of a study: all methods of the first seed, then of the next.

    Raises:
        ConfigError: if a method has fewer steps than scales to split them over.
    """
    return [
        Member(method.label, seed, _run(study, method, seed, scale), bool(method.undertrained))
        for seed in study.seeds
        for method in study.methods
        for scale in method.scales or (None,)
    ]


def _run(study: Study, method: Method, seed: int, scale: int | None) -> Run:
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
                f"{method.label} splits its steps over {parts} scales: wanted at least {parts} of them, "
                f"got {study.training.steps}."
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
