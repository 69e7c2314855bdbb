"""A U-Net learns, is resumed bit for bit, and is refused with another recipe."""

from pathlib import Path

import pytest
import torch

from histoscale.errors import OutputError, WeightsError
from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands.config import LR, GlandRun, GlandTraining
from histoscale.experiments.glands.training import (
    NETWORK,
    UNetTask,
    load_network,
    schedule_of,
    train_unet,
)
from histoscale.run_file import read_tables
from histoscale.training.curves import read_metrics
from histoscale.training.loop import METRICS, STATE


class StopError(Exception):
    """Stands for a kill."""


def run_of(run_file: Path, **training: object) -> GlandRun:
    run = read_tables(run_file, GlandRun)
    return run.model_copy(update={"training": run.training.model_copy(update=training)})


def train(task: UNetTask, stop_at: int = 0) -> None:
    def report(step: int) -> None:
        if step == stop_at:
            raise StopError

    train_unet(task, report)


def test_it_learns(run_file: Path, tmp_path: Path) -> None:
    task = UNetTask(run_of(run_file, steps=40, validate_every=20), 1, ORIGINAL, tmp_path / "out")
    train(task)
    lines = read_metrics(task.folder / METRICS)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.7 * losses[0]
    assert [line["step"] for line in lines if "dice" in line] == [20, 40]
    assert task.is_finished
    assert not (task.folder / STATE).exists()


def test_it_resumes_bit_for_bit(run_file: Path, tmp_path: Path) -> None:
    run = run_of(run_file, steps=6, log_every=1, checkpoint_minutes=0)
    whole, broken = (UNetTask(run, 1, LR, tmp_path / name) for name in ("whole", "broken"))
    train(whole)
    with pytest.raises(StopError):
        train(broken, stop_at=5)
    assert not broken.is_finished
    train(broken)
    ours, theirs = (load_network(task).state_dict() for task in (whole, broken))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = (read_metrics(task.folder / METRICS) for task in (whole, broken))
    assert [line | {"elapsed_s": 0} for line in ours] == [line | {"elapsed_s": 0} for line in theirs]


def test_seeds_differ(run_file: Path, tmp_path: Path) -> None:
    run = run_of(run_file, steps=2)
    tasks = [UNetTask(run, seed, ORIGINAL, tmp_path) for seed in (1, 2)]
    for task in tasks:
        train(task)
    one, two = ((task.folder / NETWORK).read_bytes() for task in tasks)
    assert one != two


def test_a_damaged_recipe_and_a_file_in_the_way_are_one_sentence(run_file: Path, tmp_path: Path) -> None:
    task = UNetTask(run_of(run_file, steps=1), 1, ORIGINAL, tmp_path)
    train(task)
    (task.folder / "recipe.json").write_text('{"kind": ')
    with pytest.raises(OutputError, match=r"recipe\.json is damaged"):
        train(task)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot be written: a file is in the way of .*file/.*seed1\.$"):
        train(UNetTask(run_of(run_file, steps=1), 1, ORIGINAL, tmp_path / "file"))


def test_another_recipe_is_refused(run_file: Path, tmp_path: Path) -> None:
    task = UNetTask(run_of(run_file, steps=1), 1, ORIGINAL, tmp_path)
    train(task)
    train(task)
    with pytest.raises(OutputError, match="original-seed1 was trained with other settings"):
        train(task._replace(run=run_of(run_file, steps=2)))


def test_a_damaged_network_is_an_error(run_file: Path, tmp_path: Path) -> None:
    task = UNetTask(run_of(run_file, steps=1), 1, ORIGINAL, tmp_path)
    train(task)
    (task.folder / NETWORK).write_bytes(b"none")
    with pytest.raises(WeightsError, match=r"network\.safetensors cannot be read"):
        load_network(task)


def test_the_step_size_rises_and_falls() -> None:
    schedule = schedule_of(GlandTraining(steps=100, warmup=0.1, rate=1.0))
    rates = [schedule.at(step) for step in range(100)]
    assert rates.index(max(rates)) == 10
    assert max(rates) == 1.0
    assert 0 < rates[0] < 0.2
    assert rates[-1] < 0.01
