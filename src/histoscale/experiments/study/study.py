"""``histoscale study STUDY.toml``: train every method under one recipe and budget, then compare them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from histoscale.errors import ConfigError
from histoscale.experiments.compare.compare import compare
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.features import FeatureChoice
from histoscale.experiments.compare.paper_tables import find_presets
from histoscale.experiments.images import ImageSelection
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.study.study_file import PlannedRun, Study, members, read_study
from histoscale.experiments.study.trainings import Report, Trainings, account, is_undertrained
from histoscale.files import write_text
from histoscale.resources import Compute

ACCOUNT = "trainings.md"
"""File beside the tables: parameters, steps, patches and time of each training."""
COMPARISON = "comparison"
"""Folder in the study's folder; it has a folder of tables for each study that shares the trainings."""


def study(
    study_file: Path,
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    minutes: float = 0.0,
    steps: int = 0,
    only: Sequence[str] = (),
    workers: int = 1,
    report: Report | None = None,
    progress: OnProgress = ignore_progress,
) -> Comparison:
    """Train the methods of a study file and compare them; a second call resumes where the first was stopped.

    Args:
        study_file: TOML, see `histoscale.experiments.study.study_file.Study`.
        folder: gets a run file, a log and a folder for each training, and a folder for the tables.
        recipe: TOML that replaces the study's recipe, see `histoscale.experiments.study.study_file.Recipe`.
        overrides: ``KEY=VALUE`` each, overriding keys of the study and of the recipe.
        minutes: processor time of each method and seed; a fixed-scale method splits it over its scales.
        steps: of each training, instead of minutes; the budget of the study file if both are 0.
        only: labels of methods; all if empty.
        workers: number of trainings at the same time.
        report: called at the end of each training.
        progress: of the comparison.

    Raises:
        HistoscaleError: if a file is wrong or a training failed, see `Trainings.train` and `compare`.
    """
    whole = read_study(study_file, recipe, overrides).with_budget(minutes, steps)
    plan = whole.only(tuple(only))
    trainings = Trainings(folder, workers, report)
    runs = members(plan)
    trainings.train(runs)
    trained = [(member, trainings.weights(member.run)) for member in runs]
    comparison, tables = plan.comparison, folder / COMPARISON / plan.name
    write_text(tables / ACCOUNT, account(trainings.kept(_known(whole))))
    return compare(
        line_up(trained),
        ImageSelection(
            plan.data.root,
            sets=comparison.sets or plan.data.sets,
            split=comparison.split,
            degradations=comparison.degradations,
            limit=comparison.limit or None,
            crop_px=comparison.crop_px or None,
        ),
        tables,
        find_presets(comparison.presets, ()),
        reference=comparison.reference or None,
        compute=Compute(precision=plan.training.precision, workers=workers),
        features=FeatureChoice(patch_px=comparison.patch_px),
        undertrained=tuple(dict.fromkeys(m.label for m, path in trained if is_undertrained(m, path))),
        resume=True,
        progress=progress,
    )


def _known(study: Study) -> list[PlannedRun]:
    """List the trainings of every method whose budget can be split over its scales."""
    found: list[PlannedRun] = []
    for method in study.methods:
        with suppress(ConfigError):
            found += members(study.only((method.label,)))
    return found


def line_up(trained: Sequence[tuple[PlannedRun, Path]]) -> list[str]:
    """Write the trained weights as arguments of `compare`, with seeds if there are several."""
    several = len({member.seed for member, _ in trained}) > 1
    return [f"{member.label}{f'#{member.seed}' if several else ''}={path}" for member, path in trained]
