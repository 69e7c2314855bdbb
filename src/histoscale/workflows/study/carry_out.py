"""``histoscale study STUDY.toml``: train every method of a study file under one recipe and budget."""

from collections.abc import Sequence
from pathlib import Path

from histoscale.workflows.study.members import Member, members, read_study
from histoscale.workflows.study.trainings import Report, Trainings


def study(
    study_file: Path,
    folder: Path,
    *,
    minutes: float = 0.0,
    steps: int = 0,
    only: Sequence[str] = (),
    workers: int = 1,
    report: Report | None = None,
) -> list[tuple[Member, Path]]:
    """Train what a study file names; a second call goes on where the first was stopped.

    Args:
        study_file: TOML, see `histoscale.workflows.study.members.Study`.
        folder: of the study: a run file, a log and a folder for each training.
        minutes: of processor time for each method and seed; a fixed-scale method splits it over its scales.
        steps: of each training, in place of minutes; the study file's own budget where both are 0.
        only: labels of methods; all if empty.
        workers: trainings side by side.
        report: called at the end of each training.

    Returns:
        Every training and its weights.

    Raises:
        ConfigError, OutputError, HistoscaleError: one sentence each, see `Trainings.carry_out`.
    """
    plan = members(read_study(study_file).with_budget(minutes, steps).only(tuple(only)))
    trainings = Trainings(folder, workers, report)
    trainings.carry_out(plan)
    return [(member, trainings.weights(member.run)) for member in plan]
