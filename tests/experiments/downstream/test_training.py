"""The training that downstream networks share: it learns, and resumes bit for bit."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from histoscale.errors import TrainingError, WeightsError
from histoscale.experiments.downstream.training import RateSchedule, SupervisedLearner, train
from histoscale.training.checkpoint import find_not_finite, read_state
from histoscale.training.curves import read_metrics
from histoscale.training.loop import METRICS, STATE, Intervals

EVERY_STEP = Intervals(log_every=1, checkpoint_minutes=0, measure_every=20)


class Line(SupervisedLearner):
    """A line through the origin, of slope 2."""

    curve_label = "slope"
    curves: ClassVar[Mapping[str, str]] = {"slope": "the slope"}

    def __init__(self, steps: int = 6, rate: float = 0.5):
        torch.manual_seed(1)
        super().__init__(nn.Linear(1, 1, bias=False), RateSchedule(rate, steps, rise=2, top=2))

    def loss(self, step: int) -> Tensor:
        x = torch.tensor([[1.0 + step]])
        return (self.network(x) - 2 * x).square().mean()

    def measure(self) -> dict[str, float]:
        return {"slope": float(self.network.weight.detach())}


def test_it_learns_and_draws_what_it_measures(tmp_path: Path) -> None:
    learner = Line(steps=40)
    train(learner, tmp_path, EVERY_STEP, "advice")
    assert learner.measure()["slope"] == pytest.approx(2, abs=0.1)
    lines = read_metrics(tmp_path / METRICS)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 41))
    assert [line["step"] for line in lines if "slope" in line] == [20, 40]
    assert learner.curve_values(lines[0]) == {}
    assert learner.curve_values(lines[-1]) == {"the slope": lines[-1]["slope"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_it_resumes_bit_for_bit(number: int, tmp_path: Path) -> None:
    whole, steps = Line(), list[int]()
    train(whole, tmp_path / "whole", EVERY_STEP, "advice")
    before = signal.signal(number, signal.default_int_handler)  # a shell's background jobs ignore SIGINT

    def stop(step: int) -> None:
        steps.append(step)
        if step == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path / "parts", EVERY_STEP, "advice", stop)
    signal.signal(number, before)
    assert read_state(tmp_path / "parts" / STATE)["step"] == 3
    parts = Line()
    train(parts, tmp_path / "parts", EVERY_STEP, "advice", steps.append)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert torch.equal(parts.network.weight, whole.network.weight)
    ours, theirs = (read_metrics(tmp_path / name / METRICS) for name in ("parts", "whole"))
    assert [line | {"elapsed_s": 0} for line in ours] == [line | {"elapsed_s": 0} for line in theirs]


def test_a_finished_training_is_read_without_its_optimiser(tmp_path: Path) -> None:
    first, steps = Line(), list[int]()
    train(first, tmp_path, EVERY_STEP, "advice")
    assert "optimiser" not in read_state(tmp_path / STATE)
    metrics = (tmp_path / METRICS).read_text()
    again = Line()
    train(again, tmp_path, EVERY_STEP, "advice", steps.append)
    assert not steps
    assert torch.equal(again.network.weight, first.network.weight)
    assert (tmp_path / METRICS).read_text() == metrics
    with pytest.raises(WeightsError, match="optimiser is missing"):
        train(Line(steps=9), tmp_path, EVERY_STEP, "advice")


def test_a_loss_that_is_not_a_number_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+ .*: lower the rate and"):
        train(Line(steps=60, rate=1e30), tmp_path, EVERY_STEP, "lower the rate")
    assert find_not_finite(read_state(tmp_path / STATE)) is None


def test_the_rate_rises_and_falls() -> None:
    rates = [RateSchedule(3.0, 100, rise=10, top=10).at(step) / 3 for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001
