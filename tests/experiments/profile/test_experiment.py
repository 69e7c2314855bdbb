"""Who is profiled, what is written, and that one failure costs no other figure."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from histoscale.cli import app
from histoscale.errors import ConfigError, OutputError
from histoscale.experiments.profile.experiment import best, profile, subjects
from histoscale.experiments.profile.measure import Cost, Times
from histoscale.models.base import count_parameters
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.catalog import build

TINY = partial(build, "liif", blocks=1, channels=6)


def cost(encode: float, decode: float, peak: float | None) -> Cost:
    return Cost(Times(2 * encode, encode), Times(2 * decode, decode), peak)


class Dead(Bicubic):
    """Its process dies."""

    def encode(self, image: Tensor) -> Any:
        os._exit(9)


def test_a_failure_costs_no_other_figure(tmp_path: Path) -> None:
    found = profile({"liif": TINY, "dead": Dead}, tmp_path, queries=(None,), lr_px=24, repetitions=1)
    assert [list(row.costs) for row in found.models] == [[None], []]
    text = (tmp_path / "profile.md").read_text()
    assert "- dead, grid: Measuring failed: the process ended with exit code 9" in text
    record = json.loads((tmp_path / "profile.json").read_text())
    assert record["models"][0]["parameters"] == count_parameters(TINY())
    assert record["models"][0]["costs"]["grid"]["decode"]["processor_s"] > 0
    with pytest.raises(OutputError, match=r"profile\.md exists already"):
        profile({}, tmp_path)


def test_the_best_of_two_repetitions_counts_figure_by_figure() -> None:
    assert best(cost(1, 5, None), cost(2, 4, 7)) == cost(1, 4, 7)


def test_all_models_of_any_scale_are_on_one_encoder() -> None:
    found = subjects(encoder="edsr")
    assert {"liif", "lte", "lmi", "itsrn", "lit", "thera", "iste", "iste-fast", "iste-plus"} <= set(found)
    assert not {"bicubic", "edsr", "swinir", "swdnet"} & set(found)
    with torch.device("meta"):
        assert count_parameters(found["iste"]()) < 3_000_000
        assert count_parameters(subjects(["iste"])["iste"]()) == 12_739_434  # on SwinIR
    assert list(subjects(["bicubic"])) == ["bicubic"]
    with pytest.raises(ConfigError, match="edsr"):
        subjects(["edsr"])
    with pytest.raises(ConfigError, match="encoder 'vgg'"):
        subjects(["liif"], "vgg")


@pytest.mark.slow
def test_the_verb_shows_what_it_writes(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["profile", "-m", "bicubic", "--repetitions", "1", "-o", str(tmp_path), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    assert "Decoding alone, seconds by the clock / of the processor" in result.stdout
    assert "192^2" in result.stdout
    assert (tmp_path / "profile.md").read_text().startswith("# Cost\n")
