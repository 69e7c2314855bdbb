"""The classifier learns, and a training that was stopped ends as an uninterrupted one."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from histoscale.experiments.cancer.classifier import augment, build_classifier
from histoscale.experiments.cancer.config import CancerRun, ClassifierTable
from histoscale.experiments.cancer.data import Patches, open_list
from histoscale.experiments.cancer.training import Training, places_at, probabilities, schedule_of
from histoscale.metrics.classification import accuracy
from histoscale.training.curves import read_metrics

pytest.importorskip("monai", reason="MONAI is not installed")
CPU = torch.device("cpu")


def training(run: CancerRun, patches: dict[str, Patches], folder: Path, **changes: int | float) -> Training:
    table = ClassifierTable(**(run.classifier.model_dump() | changes))
    return Training(table, "striped", 1, patches["train"], patches["val"], folder, CPU, "fp32")


def test_the_classifier_learns_stripes(run: CancerRun, tmp_path: Path) -> None:
    patches = open_list(run.data)
    network = training(run, patches, tmp_path / "t", steps=30, validate_every=15).run()
    said = probabilities(network, patches["test"], "striped", CPU, "fp32")
    assert accuracy(patches["test"].tasks["striped"].positive, said > 0.5) > 0.9
    lines = read_metrics(tmp_path / "t" / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert [line["step"] for line in lines if "auc" in line] == [15, 30]
    assert losses[-1] < losses[0]
    assert (tmp_path / "t" / "curves.png").stat().st_size > 1000


def test_a_stopped_training_ends_as_an_uninterrupted_one(run: CancerRun, tmp_path: Path) -> None:
    patches = open_list(run.data)
    whole = training(run, patches, tmp_path / "whole", steps=4).run()

    def stop(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        training(run, patches, tmp_path / "parts", steps=4).run(stop)
    parts = training(run, patches, tmp_path / "parts", steps=4).run()
    assert not parts.training
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor), name


def test_every_case_once_an_epoch() -> None:
    places = np.concatenate([places_at(step, 10, 4, seed=3) for step in range(5)])
    assert sorted(places[:10]) == sorted(places[10:]) == list(range(10))
    assert places[:10].tolist() != places[10:].tolist()
    assert places[:4].tolist() != places_at(0, 10, 4, seed=4).tolist()
    assert len(places_at(0, 3, 8, seed=1)) == 8


def test_the_rate_rises_and_falls() -> None:
    schedule = schedule_of(ClassifierTable(steps=100, warmup=0.1, rate=1.0))
    rates = [schedule.at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1


def test_the_classifier_is_he_et_al() -> None:
    """ResNet-50 with one output: 25 557 032 parameters of torchvision's less 2048000 + 1000 and 2049 more."""
    network = build_classifier(50)
    assert sum(p.numel() for p in network.parameters()) == 25_557_032 - 2048 * 1000 - 1000 + 2049
    assert network(torch.zeros(2, 3, 48, 48)).shape == (2, 1)


def test_rotations_keep_the_pixels() -> None:
    batch = torch.rand(16, 3, 6, 6)
    turned = augment(batch, 0.0, torch.Generator().manual_seed(0))
    assert not torch.equal(turned, batch)
    torch.testing.assert_close(
        turned.flatten(2).sort().values, batch.clamp(min=1 / 255).flatten(2).sort().values
    )
    shapes = {tuple(torch.tensor(a).argsort().tolist()) for a in turned[:, 0, 0].tolist()}
    assert len(shapes) > 1


def test_stains_change_channel_by_channel() -> None:
    batch = torch.full((64, 3, 2, 2), 0.5)
    density = augment(batch, 0.2, torch.Generator().manual_seed(0)).log() / torch.tensor(0.5).log()
    assert float(density.min()) == pytest.approx(0.8, abs=0.01)
    assert float(density.max()) == pytest.approx(1.2, abs=0.01)
    assert float((density[:, 0] - density[:, 1]).abs().max()) > 0.1
