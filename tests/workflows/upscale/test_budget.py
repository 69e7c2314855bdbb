"""What memory allows."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError
from histoscale.workflows.upscale import budget
from histoscale.workflows.upscale.budget import Appetite, choose_tile, memory_limit
from histoscale.workflows.upscale.engine import Engine
from histoscale.workflows.upscale.survey import survey

MIB = 2**20
LEAN = Appetite(300 * MIB, 400, 250, 700, 0)
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
    with pytest.raises(
        ConfigError, match=r"Memory of 500 MiB is granted, and .* take 5\d\d MiB: give --max-memory"
    ):
        chosen(500)


def test_workers_that_are_not_ours_are_not_sent_away() -> None:
    with pytest.raises(ConfigError, match=r"and 2 workers with tiles of 256 px take"):
        choose_tile(LEAN, HUGE, (4.0, 4.0), 20, 2, 700 * MIB, fewest=2)


def test_a_small_slide_is_cut_for_all_workers() -> None:
    found = choose_tile(LEAN, (2000, 1500), (4.0, 4.0), 20, 2, 2000 * MIB)
    assert found.tile_px == 512


def test_the_default_limit_for_two_workers_holds_a_tile_of_iste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda: 64 * 2**30)
    assert memory_limit(None, 2) == 2560 * MIB
    assert memory_limit(7, 2) == 7
    monkeypatch.setattr(budget, "available_bytes", lambda: 1000 * MIB)
    assert memory_limit(None, 2) == 850 * MIB
    assert memory_limit(None, 2, is_here=False) == 2560 * MIB


def test_the_survey_counts_what_is_alive(small_weights: Path) -> None:
    setting, appetite = survey(Engine(str(small_weights), "cpu", "fp32"), (4.0, 4.0))
    assert (setting.halo_px, setting.scales) == (6, (1, 4))
    assert appetite.kept_px == 4 * 16  # the head's input
    assert appetite.encoding_px > appetite.kept_px
    assert appetite.rendering_px > 4 * 3 * 8  # the series of three colours
