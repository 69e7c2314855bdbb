"""A plan says what it takes before the work; what is slow is said once, whoever computes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from histoscale.resources import warn_of_slow_bf16
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor, Processes, ThisProcess
from histoscale.upscaling.options import Options
from histoscale.upscaling.slide import upscale_slide

T = TypeVar("T")
PROBES = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def on_avx2(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a process whose processor emulates bf16."""
    for probe in PROBES:
        setattr(torch.cpu, probe, lambda: False)
    return function(*arguments)


class OldProcesses(Processes):
    """Workers with an old processor."""

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        return super().call(on_avx2, function, *arguments)


@pytest.mark.parametrize("kind", ["this process", "workers"])
def test_emulated_bf16_is_warned_of_once(
    kind: str,
    source: Path,
    small_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda: False, raising=False)
    warn_of_slow_bf16.cache_clear()
    engine = Engine(str(small_weights), "cpu", "bf16", tile_px=64)
    executor: Executor = ThisProcess() if kind == "this process" else OldProcesses(1)
    with executor, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name in ("b.ome.tiff", "c.ome.tiff"):
            options = Options(scale=1.5, tissue="all")
            upscale_slide(source, source.with_name(name), options, engine, executor)
    warn_of_slow_bf16.cache_clear()
    assert [("12 times" in str(one.message), "auto" in str(one.message)) for one in said] == [(True, True)]
    assert "bf16" not in capfd.readouterr().err
