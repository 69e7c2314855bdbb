"""What memory allows."""

import sys
from pathlib import Path

import numpy as np
import pytest

from histoscale.errors import ConfigError, OutputError
from histoscale.io.writers.base import Encoding
from histoscale.upscaling import memory
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Processes, measure_worker
from histoscale.upscaling.memory import (
    COORDINATOR_BYTES,
    HEADER_BYTES,
    WORKER_SHARE_BYTES,
    MemoryNeed,
    choose_tile,
    disk_bytes,
    ensure_disk,
    memory_limit,
)
from histoscale.upscaling.tile_memory import report_worker

MIB = 2**20
LEAN = MemoryNeed(300 * MIB, 400, 250, 700, 0)
HUGE = 100_000, 80_000


def chosen(limit_mib: int, workers: int = 2, tile_px: int | None = None) -> tuple[int, int]:
    found = choose_tile(LEAN, HUGE, (4.0, 4.0), 20, workers, limit_mib * MIB, tile_px)
    assert found.peak_bytes <= limit_mib * MIB
    return found.tile_px, found.workers


def test_the_largest_tile_that_fits() -> None:
    assert [chosen(limit) for limit in (3000, 1200, 1000)] == [(1024, 2), (1024, 2), (512, 2)]


def test_fewer_workers_where_no_tile_fits_all() -> None:
    assert chosen(700) == (1024, 1)
    assert chosen(550) == (256, 1)


def test_an_imposed_tile_is_kept() -> None:
    assert chosen(1500, tile_px=256) == (256, 2)
    assert chosen(1100, tile_px=2048) == (2048, 1)


def test_too_little_memory_names_what_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"5\d\d MiB, but the limit is 500 MiB: raise --max-memory"):
        chosen(500)


def test_workers_that_are_not_ours_are_not_sent_away() -> None:
    with pytest.raises(ConfigError, match="2 workers with 256 px tiles"):
        choose_tile(LEAN, HUGE, (4.0, 4.0), 20, 2, 700 * MIB, least_workers=2)


def test_a_small_slide_is_cut_for_all_workers() -> None:
    found = choose_tile(LEAN, (2000, 1500), (4.0, 4.0), 20, 2, 2000 * MIB)
    assert found.tile_px == 512


def test_the_default_limit_for_two_workers_holds_a_tile_of_iste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 64 * 2**30)
    assert memory_limit(None, 2) == 2560 * MIB
    assert memory_limit(7, 2) == 7
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000 * MIB)
    assert memory_limit(None, 2) == 850 * MIB
    assert memory_limit(None, 2, is_here=False) == 2560 * MIB


def test_the_survey_counts_what_is_alive(small_weights: Path) -> None:
    setting, need, _ = report_worker(Engine(str(small_weights), "cpu", "fp32"), (4.0, 4.0))
    assert (setting.halo_px, setting.scales) == (6, (1, 4))
    assert need.kept_px == 4 * 16  # the head's input
    assert need.encoding_px > need.kept_px
    assert need.rendering_px > 4 * 3 * 8  # the series of three colours


# What the disk allows.


def test_a_disk_that_does_not_exist_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    ensure_disk(tmp_path / "deep" / "deeper", 1)
    with pytest.raises(OutputError, match="free space"):
        ensure_disk(tmp_path / "deep" / "deeper", 2**60)


def test_lossless_output_takes_more_disk() -> None:
    jpeg, none = (disk_bytes((4000, 3000), 1024, Encoding(kind, 90)) for kind in ("jpeg", "none"))
    assert jpeg[0] == none[0] == 3 * (4096 * 3072 + 2000 * 1500 + 1000 * 750)
    assert jpeg[1] < 0.2 * none[1]
    assert none[1] == 4 * 4000 * 3000 + HEADER_BYTES


# What a worker says it takes before the work.


def test_what_a_process_held_before_does_not_count() -> None:
    ballast = np.ones(2**28, np.uint8)  # a notebook with its own data; ones, so that the pages are there
    setting, need, _ = report_worker(Engine("iste-fast", "cpu", "fp32"), (4.0, 4.0))
    budget = choose_tile(
        need, (8000, 8000), (4.0, 4.0), setting.halo_px, 1, COORDINATOR_BYTES + WORKER_SHARE_BYTES
    )
    assert budget.tile_px >= 512
    assert ballast.nbytes == 2**28


def test_a_larger_model_takes_more(small_weights: Path) -> None:
    small, large = (
        report_worker(Engine(name, "cpu", "fp32"), (2.0, 2.0)).need
        for name in (str(small_weights), "iste-fast")
    )
    assert large.bytes_for(256, (2.0, 2.0), 20) > small.bytes_for(256, (2.0, 2.0), 20) + 2**20


def test_a_worker_does_not_import_a_compiler_for_it(small_weights: Path) -> None:
    with Processes(1) as executor:
        executor.call(measure_worker, Engine(str(small_weights), "cpu", "fp32"), (2.0, 2.0))
        found = executor.call(imported, ("torch", "torch._dynamo", "sympy"))
    assert found == {"torch"}


def imported(names: tuple[str, ...]) -> set[str]:
    return set(names) & set(sys.modules)
