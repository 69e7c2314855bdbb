"""Device, precision and memory: what there is, what does not fit, what was used."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from histoscale import resources
from histoscale.errors import ConfigError, InputError
from histoscale.resources import (
    MIB,
    PeakMemory,
    available_bytes,
    device_name,
    ensure_memory,
    find_precision,
    format_bytes,
    is_out_of_memory,
    measure_peak_memory,
    multiplies_bf16,
    resident_bytes,
    warn_of_slow_bf16,
)

CPU = torch.device("cpu")


# Precision.


@pytest.fixture(params=[True, False], ids=["native bf16", "AVX2 alone"])
def is_native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor of either kind, whatever this one is."""
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: request.param, raising=False)
    return bool(request.param)


def test_auto_is_bf16_where_it_is_native(is_native: bool) -> None:
    assert find_precision("auto", CPU) == ("bf16" if is_native else "fp32")
    assert find_precision("fp32", CPU) == "fp32"


def test_bf16_that_is_emulated_is_warned_of_once(is_native: bool) -> None:
    warn_of_slow_bf16.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert [find_precision("bf16", CPU) for _ in range(2)] == ["bf16", "bf16"]
    assert [("12 times" in str(one.message), "auto" in str(one.message)) for one in said] == (
        [] if is_native else [(True, True)]
    )


def test_auto_and_fp32_never_warn(is_native: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for choice in ("auto", "fp32"):
            find_precision(choice, CPU)


def test_an_unknown_precision() -> None:
    with pytest.raises(ConfigError, match=r"fp8.*auto, fp32, bf16"):
        find_precision("fp8", CPU)


# Memory that is available.


def test_a_processor_is_described_with_its_instruction_set() -> None:
    assert torch.backends.cpu.get_cpu_capability() in device_name(CPU)
    with_bf16 = "with bf16" in device_name(CPU)
    assert with_bf16 is multiplies_bf16(CPU)


def test_this_machine_has_some_memory() -> None:
    assert 2**24 < available_bytes() < 2**50


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A container with a limit of 100 MiB, of which 70 are taken, 20 by cached files."""
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{100 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{70 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {50 * MIB}\ninactive_file {20 * MIB}\n")
    return tmp_path


def test_a_container_has_what_its_limit_leaves(container: Path) -> None:
    assert available_bytes() == 50 * MIB
    (container / "memory.max").write_text("max\n")
    assert available_bytes() > 50 * MIB


def test_the_system_counts_too(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        available = 10 * MIB

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    assert available_bytes() == 10 * MIB


def test_what_does_not_fit_is_refused(container: Path) -> None:
    with pytest.raises(InputError, match=r"x\.png is too large .*43 MiB.* 50 MiB"):
        ensure_memory(43 * MIB, InputError, "x.png is too large")
    ensure_memory(42 * MIB, InputError, "x.png is too large")


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 bytes"), (1536, "1.5 KiB"), (2**30, "1 GiB"), (5 * 2**40, "5 TiB")]
)
def test_sizes_for_people(n: int, words: str) -> None:
    assert format_bytes(n) == words


# Memory that is in use: of all processes together, over the time of the block.


def test_memory_that_was_given_back_still_counts() -> None:
    with measure_peak_memory() as peak:
        before = peak.mib
        held = np.ones(200 * MIB, np.uint8)
        assert resident_bytes() > 200 * MIB
        peak.update()
        del held
    assert 150 < peak.mib - before < 260


def test_children_count() -> None:
    before = PeakMemory()
    before.update()
    program = f"held = bytearray(b'x') * {200 * MIB}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = PeakMemory()
        during.update()
        child.communicate(b"\n")
    assert 200 < during.mib - before.mib < 260


def test_a_process_that_ends_meanwhile_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def memory_info(self) -> Any:
            raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [Ended()])
    peak = PeakMemory()
    peak.update()
    assert peak.mib > 0


def test_it_measures_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "INTERVAL_S", 0.001)
    measured: list[int] = []
    monkeypatch.setattr(PeakMemory, "update", lambda self: measured.append(1))
    with measure_peak_memory():
        while len(measured) < 5:
            pass
    assert len(measured) >= 5


# Memory that ran out.


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised_among_other_errors(error: Exception, is_so: bool) -> None:
    assert is_out_of_memory(error) is is_so
