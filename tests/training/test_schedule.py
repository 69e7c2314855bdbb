"""Step size and progress."""

import time

import pytest

from histoscale.config import TrainingTable
from histoscale.training.schedule import Progress, average_decay, step_size


def table(**values: object) -> TrainingTable:
    return TrainingTable.model_validate({"steps": 100, "rate": 1e-3, **values})


def test_cosine_climbs_peaks_and_falls() -> None:
    cosine = table(schedule="cosine", warmup=0.1, final_rate=1e-7)
    assert step_size(cosine, 0.05) == pytest.approx(5e-4)
    assert step_size(cosine, 0.1) == pytest.approx(1e-3)
    assert step_size(cosine, 0.55) == pytest.approx(5e-4, rel=1e-3)
    assert step_size(cosine, 1.0) == pytest.approx(1e-7)


def test_milestones_halve() -> None:
    milestones = table(schedule="milestones", milestones=[0.5, 0.8, 0.9, 0.95])
    rates = [step_size(milestones, share) / 1e-3 for share in (0.49, 0.5, 0.8, 0.9, 0.96)]
    assert rates == [1, 0.5, 0.25, 0.125, 0.0625]


def test_a_staircase_falls_by_the_same_factor_after_even_stairs() -> None:
    staircase = table(schedule="staircase", stairs=50, stair=0.95)
    assert step_size(staircase, 0.0199) == 1e-3
    for stair in range(1, 50):
        assert step_size(staircase, stair / 50) == pytest.approx(1e-3 * 0.95**stair)


def test_a_restart_begins_the_schedule_anew_and_fits_it_into_what_is_left() -> None:
    twice = table(schedule="milestones", milestones=[0.25, 0.5, 0.75], restarts=[0.5])
    rates = [step_size(twice, share) / 1e-3 for share in (0, 0.13, 0.26, 0.38, 0.5, 0.63, 0.99, 1.0)]
    assert rates == [1, 0.5, 0.25, 0.125, 1, 0.5, 0.125, 0.125]


def test_constant_is_constant() -> None:
    assert {step_size(table(), share) for share in (0.0, 0.5, 1.0)} == {1e-3}


def test_progress_by_steps_and_by_minutes() -> None:
    by_steps = Progress(100, step=25, spent_s=10.0)
    assert by_steps.share() == 0.25
    by_time = Progress(minutes=2, spent_s=90.0)
    assert by_time.share() == pytest.approx(0.75, abs=0.01)
    assert Progress(minutes=1, spent_s=90.0).share() == 1.0


def test_the_core_clock_does_not_count_waiting() -> None:
    core = Progress(minutes=1, clock="core")
    wall = Progress(minutes=1)
    time.sleep(0.2)
    assert core.elapsed_s() < 0.1 < wall.elapsed_s()


def test_average_forgets_early_weights_soon() -> None:
    assert average_decay(0.999, 0) == pytest.approx(0.1)
    assert average_decay(0.999, 10**6) == 0.999
