"""What a worker says it takes before the work."""

import sys
from pathlib import Path

import numpy as np

from histoscale.workflows.upscale.budget import COORDINATOR_BYTES, WORKER_SHARE_BYTES, choose_tile
from histoscale.workflows.upscale.engine import Engine
from histoscale.workflows.upscale.survey import survey
from histoscale.workflows.upscale.workers import Processes, take_survey


def test_what_a_process_held_before_does_not_count() -> None:
    ballast = np.ones(2**28, np.uint8)  # a notebook with its own data; ones, so that the pages are there
    setting, appetite = survey(Engine("iste-fast", "cpu", "fp32"), (4.0, 4.0))
    budget = choose_tile(
        appetite, (8000, 8000), (4.0, 4.0), setting.halo_px, 1, COORDINATOR_BYTES + WORKER_SHARE_BYTES
    )
    assert budget.tile_px >= 512
    assert ballast.nbytes == 2**28


def test_a_larger_model_takes_more() -> None:
    small, large = (
        survey(Engine(name, "cpu", "fp32"), (2.0, 2.0)).appetite for name in ("iste-fast", "iste")
    )
    assert large.bytes_for(256, (2.0, 2.0), 20) > small.bytes_for(256, (2.0, 2.0), 20) + 2**20


def test_a_worker_does_not_import_a_compiler_for_it(small_weights: Path) -> None:
    with Processes(1) as executor:
        executor.ask(take_survey, Engine(str(small_weights), "cpu", "fp32"), (2.0, 2.0))
        found = executor.ask(imported, ("torch", "torch._dynamo", "sympy"))
    assert found == {"torch"}


def imported(names: tuple[str, ...]) -> set[str]:
    return set(names) & set(sys.modules)
