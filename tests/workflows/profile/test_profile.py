"""The profile measures what it says, on tiny models, in processes of their own."""

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
from histoscale.errors import ConfigError, HistoscaleError, OutputError
from histoscale.models.base import CoordinateSuperResolver, count_parameters
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.catalog import build
from histoscale.workflows.profile.call import Call, Cost, Times, decode, measure
from histoscale.workflows.profile.carry_out import best, profile, subjects
from histoscale.workflows.profile.tables import Machine, Profile, Row, label, markdown, plain, tables

ALLOCATED_MIB = 128
TINY = partial(build, "liif", blocks=1, channels=6)


class Hungry(Bicubic):
    """Takes memory for each query in proportion to its points, gives it back, and works hard."""

    def decode(self, features: Tensor, positions: Tensor, cell: Tensor) -> Tensor:
        kept = torch.ones(ALLOCATED_MIB * positions.shape[1], 2**10 // 4)
        for _ in range(20 if positions.shape[1] > 100 else 0):
            kept.mul_(1.5)
        return super().decode(features, positions, cell)


class Broken(Bicubic):
    """Fails as torch does, or dies."""

    def encode(self, image: Tensor) -> Any:
        if image.shape[2] > 16:
            os._exit(9)
        return super().encode(image)


class OutOfMemory(Bicubic):
    def encode(self, image: Tensor) -> Any:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")


@pytest.mark.parametrize("points", [64, None], ids=["queries", "grid"])
def test_every_pixel_is_decoded_once(points: int | None) -> None:
    model = TINY().double().eval()
    assert isinstance(model, CoordinateSuperResolver)
    image = torch.rand(1, 3, 5, 5, dtype=torch.float64)
    axis = (torch.arange(10, dtype=torch.float64) + 0.5) / 2 - 0.5
    with torch.no_grad():
        parts = decode(model, model.encode(image), axis, 0.5, points)
        whole = model(image, (10, 10))
    found = parts[0] if points is None else torch.cat(parts, dim=1).transpose(1, 2).reshape(1, 3, 10, 10)
    assert len(parts) == (1 if points is None else 2)
    torch.testing.assert_close(found, whole)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_the_peak_and_time_the_work() -> None:
    """1024 points take a KiB of 128 each: 128 MiB; 256 at a time a quarter of that."""
    whole = measure(Call(Hungry, 1024, lr_px=16))
    parts = measure(Call(Hungry, 256, lr_px=16))
    assert whole.peak_mib is not None
    assert parts.peak_mib is not None
    assert whole.peak_mib == pytest.approx(ALLOCATED_MIB, rel=0.25)
    assert parts.peak_mib == pytest.approx(ALLOCATED_MIB / 4, rel=0.5)
    assert whole.decode.processor_s > 5 * whole.encode.processor_s


@pytest.mark.parametrize(("model", "words"), [(Broken, "exit code 9"), (OutOfMemory, "CUDA out of memory")])
def test_what_cannot_be_measured_says_why(model: type, words: str) -> None:
    with pytest.raises(HistoscaleError, match=words):
        measure(Call(model, 1024, lr_px=24))


def test_a_failure_costs_no_other_figure(tmp_path: Path) -> None:
    found = profile({"liif": TINY, "broken": Broken}, tmp_path, queries=(None,), lr_px=24, rounds=1)
    assert [list(row.costs) for row in found.rows] == [[None], []]
    text = (tmp_path / "profile.md").read_text()
    assert "- broken, grid: Measuring failed: the process ended with exit code 9" in text
    record = json.loads((tmp_path / "profile.json").read_text())
    assert record["models"][0]["parameters"] == count_parameters(TINY())
    assert record["models"][0]["costs"]["grid"]["decode"]["processor_s"] > 0
    with pytest.raises(OutputError, match=r"profile\.md exists already"):
        profile({}, tmp_path)


def cost(encode: float, decode: float, peak: float | None) -> Cost:
    return Cost(Times(2 * encode, encode), Times(2 * decode, decode), peak)


def test_tables_are_ratios_to_liif() -> None:
    rows = (
        Row("liif", 2**20, {2304: cost(1, 1, 100), None: cost(1, 2, None)}, []),
        Row("iste", 10**6, {2304: cost(1, 5, 250)}, [(None, "no memory")]),
    )
    memory, whole, decoding = tables(Profile(Machine("a machine", "cpu", "fp32", 1, 96, 2), rows))
    assert memory[1] == [
        ["model", "parameters / 10^6", "parameters / 2^20", "48^2", "grid"],
        ["liif", "1.05", "1.00", "100 (1.00)", "-"],
        ["iste", "1.00", "0.95", "250 (2.50)", "-"],
    ]
    assert whole[1][2] == ["iste", "12 / 6 (3.00)", "-"]
    assert decoding[1][2] == ["iste", "10 / 5 (5.00)", "-"]


def test_on_a_gpu_the_clock_counts() -> None:
    found = Profile(
        Machine("a card", "cuda:0", "bf16", 1, 96, 1), (Row("liif", 1, {1000: cost(1, 1, 1)}, []),)
    )
    assert tables(found)[1][1][1] == ["liif", "4 (1.00)"]
    assert "a card, bf16" in markdown(found)
    assert plain(found)["models"][0]["costs"]["1000"]["peak_mib"] == 1


def test_the_best_of_two_turns_counts_figure_by_figure() -> None:
    assert best(cost(1, 5, None), cost(2, 4, 7)) == cost(1, 4, 7)


def test_query_sizes_are_named_as_in_table_8() -> None:
    assert [label(q) for q in (2304, 36_864, 30_000, None)] == ["48^2", "192^2", "30000", "grid"]


def test_all_models_of_any_scale_on_one_encoder_by_default() -> None:
    found = subjects()
    assert {"liif", "lte", "lmi", "itsrn", "lit", "thera", "iste", "iste-fast", "iste-plus"} <= set(found)
    assert not {"bicubic", "edsr", "swinir", "swdnet"} & set(found)
    with torch.device("meta"):
        assert count_parameters(found["iste"]()) == 12_739_434
    assert list(subjects(["bicubic"])) == ["bicubic"]
    with pytest.raises(ConfigError, match="models of any scale to profile, got edsr"):
        subjects(["edsr"])
    with pytest.raises(ConfigError, match="Unknown encoder 'vgg'"):
        subjects(["liif"], "vgg")


@pytest.mark.slow
def test_the_verb_shows_what_it_writes(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["profile", "-m", "bicubic", "--rounds", "1", "-o", str(tmp_path), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    assert "Decoding alone, seconds by the clock / of the processor" in result.stdout
    assert "192^2" in result.stdout
    assert (tmp_path / "profile.md").read_text().startswith("# Cost\n")
