"""The card of a run: split, resolution and models."""

import json
from pathlib import Path

from histoscale.experiments.glands.card import describe_run, markdown
from histoscale.experiments.glands.config import GlandRun
from histoscale.experiments.glands.data import find_glands
from histoscale.run_file import read_tables


def card_of(run_file: Path, *overrides: str) -> str:
    run = read_tables(run_file, GlandRun, overrides)
    return markdown(json.loads(json.dumps(describe_run(run, find_glands(run.data)))))


def test_the_split_and_its_patients(run_file: Path) -> None:
    assert "2 train, 1 val, 2 test; split: manifest. No patient " in card_of(run_file)
    official = card_of(run_file, "data.split=official")
    assert "2 testA, 1 testB; split: official. Leak: 1 of 3 test images" in official


def test_the_card_states_a_downsampled_input(run_file: Path) -> None:
    assert "each pixel is the mean of" not in card_of(run_file)
    assert "each pixel is the mean of 2 x 2" in card_of(run_file, "network.shrink=2")


def test_models_name_their_training_images(run_file: Path) -> None:
    said = card_of(run_file)
    assert "fast: weights iste-fast (" in said
    assert "trained on glas train; monuseg train. These include 0 of 2 training images" in said
