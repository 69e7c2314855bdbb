"""Tiles on Dask: the same bytes as in one process, whatever becomes of the workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import zarr

from histoscale import weights
from histoscale.errors import ConfigError, HistoscaleError, InputError, WeightsError
from histoscale.io.tile_store import TileStore
from histoscale.upscaling import dask_executor
from histoscale.upscaling.dask_executor import LOCAL, DaskExecutor
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import ThisProcess
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import ModelSetting, SlidePlan, TileJob
from histoscale.upscaling.slide import upscale_slide
from histoscale.upscaling.tile import compute_tile

pytest.importorskip("distributed")

TILE_PX = 32


@pytest.fixture
def plan(source: Path, small_weights: Path) -> SlidePlan:
    """The random image, 40 x 60, doubled by the small model: 3 x 4 tiles."""
    card = weights.card(small_weights)
    setting = ModelSetting(str(small_weights), card.sha256, "cpu", "any", "fp32", halo_px=24, alignment_px=1)
    return SlidePlan(source, 0, (0, 0), (60, 40), (0, 0, 60, 40), (120, 80), TILE_PX, "model", setting)


def stored(plan: SlidePlan, folder: Path) -> TileJob:
    """The plan with an empty store."""
    TileStore(folder).create(plan.size_xy[::-1], plan.tile_px, {})
    return TileJob(plan, folder)


def pixels(job: TileJob) -> np.ndarray:
    return TileStore(job.store).read((0, 0), job.plan.size_xy)


@pytest.fixture
def expected(plan: SlidePlan, tmp_path: Path) -> np.ndarray:
    """Computed in this process."""
    job = stored(plan, tmp_path / "expected")
    for index in range(plan.tile_count):
        compute_tile(job, index)
    return pixels(job)


@pytest.fixture(scope="module")
def executor() -> Iterator[DaskExecutor]:
    """Two processes of this machine, started once."""
    with DaskExecutor(LOCAL, 2) as started:
        yield started


def test_two_processes_give_the_bytes_of_one(
    executor: DaskExecutor, plan: SlidePlan, expected: np.ndarray, tmp_path: Path
) -> None:
    job = stored(plan, tmp_path / "store")
    results = list(executor.run(job, range(plan.tile_count)))
    assert executor.workers == 2
    assert sorted(result.index for result in results) == list(range(12))
    assert len({result.worker for result in results}) == 2
    assert expected.std() > 0
    np.testing.assert_array_equal(pixels(job), expected)


def test_tiles_of_a_killed_worker_are_computed_again(
    executor: DaskExecutor, plan: SlidePlan, expected: np.ndarray, tmp_path: Path
) -> None:
    job = stored(plan, tmp_path / "store")
    results = executor.run(job, range(plan.tile_count))
    first = next(results)
    victim = int(first.worker.rsplit(":")[-1])
    os.kill(victim, signal.SIGKILL)
    rest = list(results)
    assert sorted([first.index, *(result.index for result in rest)]) == list(range(12))
    np.testing.assert_array_equal(pixels(job), expected)


@pytest.mark.slow
def test_a_slide_survives_a_killed_worker_with_the_model_that_ships(
    executor: DaskExecutor, data_root: Path, tmp_path: Path
) -> None:
    slide, killed = data_root / "wsi/aperio/CMU-1-Small-Region.svs", []

    def kill_once(done: int, total: int) -> None:
        if not killed and done > 0.3 * total:
            killed.append(executor.call(os.getpid))
            os.kill(killed[0], signal.SIGKILL)

    options = Options(scale=4, region="800,900,300,300", compression="zstd")
    engine, targets = Engine("iste-fast", tile_px=128), [tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"]
    upscale_slide(slide, targets[0], options, engine, executor, kill_once)
    upscale_slide(slide, targets[1], options, engine, ThisProcess())
    assert killed
    lost, whole = (np.asarray(zarr.open_group(target, mode="r")["0"]) for target in targets)
    np.testing.assert_array_equal(lost, whole)


def test_paths_are_those_of_the_coordinator(
    executor: DaskExecutor, plan: SlidePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers began elsewhere
    job = stored(replace(plan, source=Path(plan.source.name)), Path("store"))
    assert [result.index for result in executor.run(job, [5])] == [5]
    assert executor.call(Path.cwd) == tmp_path
    monkeypatch.undo()
    assert executor.call(Path.cwd) == Path.cwd()


def test_no_more_tiles_are_handed_out_than_workers_need(
    executor: DaskExecutor, plan: SlidePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_executor, "TILES_AHEAD", 2)
    handed_out: list[int] = []

    class Watched(list[int]):
        def __iter__(self) -> Iterator[int]:
            for index in super().__iter__():
                handed_out.append(index)
                yield index

    results = executor.run(stored(plan, tmp_path / "store"), Watched(range(12)))
    next(results)
    assert len(handed_out) <= 4
    results.close()
    deadline = time.monotonic() + 10
    while any(executor._client.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(executor._client.processing().values())
    assert len(handed_out) <= 4


def test_workers_answer_questions(executor: DaskExecutor) -> None:
    assert executor.call(os.getpid) != os.getpid()
    assert executor.call(max, 3, 5) == 5


def test_a_worker_that_does_not_see_the_files_says_so(
    executor: DaskExecutor, plan: SlidePlan, tmp_path: Path
) -> None:
    job = stored(plan, tmp_path / "store")
    elsewhere = replace(job, plan=replace(plan, source=tmp_path / "gone.png"))
    with pytest.raises(InputError, match=r"cannot find .*gone.png"):
        list(executor.run(elsewhere, [0]))
    assert [result.index for result in executor.run(job, [0])] == [0]  # it lives on


def test_a_worker_with_other_weights_is_refused(
    executor: DaskExecutor, plan: SlidePlan, tmp_path: Path
) -> None:
    assert plan.setting is not None
    other = replace(plan, setting=replace(plan.setting, sha256="0" * 64))
    with pytest.raises(WeightsError, match="different weights"):
        list(executor.run(stored(other, tmp_path / "store"), [0]))


def test_a_worker_of_another_version_is_refused(plan: SlidePlan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"histoscale {version('histoscale')}, .* 0\.0\.1"):
        dask_executor._compute(stored(plan, tmp_path / "store"), 0, "0.0.1")


def test_a_running_scheduler_is_used_and_left_running(
    plan: SlidePlan, expected: np.ndarray, tmp_path: Path
) -> None:
    from distributed import Client, LocalCluster

    job = stored(plan, tmp_path / "store")
    ours = {"processes": False, "threads_per_worker": 2, "dashboard_address": ":0", "memory_limit": None}
    with LocalCluster(n_workers=1, **ours) as running:
        with DaskExecutor(running.scheduler_address) as distant:
            assert distant.workers == 1
            assert len(list(distant.run(job, range(12)))) == 12
            with pytest.raises(WeightsError, match=r"On a worker of inproc://.*: There are no weights"):
                distant.call(weights.load, tmp_path / "gone.safetensors")
        with Client(running, set_as_default=False) as client:
            assert len(client.nthreads()) == 1
    np.testing.assert_array_equal(pixels(job), expected)


def test_a_scheduler_without_workers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(dask_executor, "WORKERS_S", 0.2)
    sentence = pytest.raises(ConfigError, match=r"The scheduler at inproc://.* has no workers")
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty, sentence:
        DaskExecutor(empty.scheduler_address).__enter__()


THREADS = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None}


def test_a_run_whose_workers_have_all_left_ends_in_one_sentence(
    plan: SlidePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(dask_executor, "PATIENCE_S", 0.2)
    job = stored(plan, tmp_path / "store")
    with LocalCluster(n_workers=1, **THREADS) as running, DaskExecutor(running.scheduler_address) as executor:
        results = executor.run(job, range(12))
        assert next(results).index in range(12)
        running.scale(0)
        with pytest.raises(HistoscaleError, match=r"inproc://.* has no workers left.*--resume"):
            list(results)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "what://ever:1"])
def test_no_scheduler_is_one_sentence(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "CONNECT_S", 0.3)
    started = time.monotonic()
    with pytest.raises(ConfigError, match=rf"No Dask scheduler answers at {address}"):
        DaskExecutor(address).__enter__()
    assert time.monotonic() - started < 5, "what cannot answer is closed again, and that takes its time"


def test_dask_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'histoscale\[cluster\]'"):
        DaskExecutor(LOCAL).__enter__()


@pytest.mark.slow
def test_workers_that_die_over_one_tile_end_the_run(executor: DaskExecutor) -> None:
    with pytest.raises(HistoscaleError, match=r"Workers of local were killed"):
        executor.call(os._exit, 1)


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_an_error_with_advice(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from histoscale.upscaling.dask_executor import DaskExecutor\n"
        "with DaskExecutor('local', 1): print('entered')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "entered" not in done.stdout
    assert "put the call under `if __name__ == '__main__':`." in done.stderr


@pytest.mark.slow
def test_workers_end_with_their_coordinator(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from histoscale.upscaling.dask_executor import DaskExecutor\n"
        "if __name__ == '__main__':\n"
        "    with DaskExecutor('local', 1) as executor:\n"
        "        print(executor.call(os.getpid), flush=True)\n"
        "        time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        worker = int(coordinator.stdout.readline())
        os.kill(worker, 0)  # it is there
        coordinator.kill()
    deadline = time.monotonic() + 20
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
