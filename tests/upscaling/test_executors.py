"""Processes that compute tiles: what they say, and that neither their death nor their parent's does harm."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import HistoscaleError, InputError, UnexpectedError
from histoscale.io.tile_store import TileStore
from histoscale.upscaling.executors import Processes, ThisProcess, executor_for
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import SlidePlan, TileJob

MIB = 2**20


@pytest.fixture
def job(source: Path) -> TileJob:
    """The 40 x 60 image copied in tiles of 16 px: no model, hence quick."""
    plan = SlidePlan(source, 0, (0, 0), (60, 40), (0, 0, 60, 40), (60, 40), 16, "copy")
    store = TileStore(source.with_name("store"))
    store.create((40, 60), 16, {})
    return TileJob(plan, store.folder)


def is_right(job: TileJob) -> bool:
    return np.array_equal(
        TileStore(job.store).read((0, 0), (60, 40)), np.asarray(Image.open(job.plan.source))
    )


def die(tile: int) -> None:
    """What the system's killer does to a worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_replaced_and_its_tiles_with_it(job: TileJob) -> None:
    with Processes(2) as executor:
        first = executor.call(os.getpid)
        results = executor.run(job, range(12))
        seen = [next(results).index]
        os.kill(first, signal.SIGKILL)
        seen += [result.index for result in results]
    assert sorted(set(seen)) == list(range(12))
    assert is_right(job)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="told to glibc alone")
def test_a_worker_keeps_the_memory_it_frees() -> None:
    with Processes(1) as executor:
        assert executor.call(bytes_kept, 24 * MIB) > 20 * MIB
        assert executor.call(bytes_kept, 48 * MIB) < 4 * MIB  # so large that it comes and goes in one piece


def bytes_kept(size: int) -> int:
    """How much more is resident after an array came and went."""
    before = resident()
    array = np.ones(size, np.uint8)
    del array
    return resident() - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class DecoderError(Exception):
    """Cannot be made again from its text, as its way between processes needs."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}")


def fail(_: int) -> None:
    raise DecoderError(3, 4)


def test_errors_of_other_libraries_survive_the_way_from_a_worker() -> None:
    with Processes(1) as executor, pytest.raises(UnexpectedError, match=r"DecoderError: line 3, column 4"):
        executor.call(fail, 0)


def test_workers_that_die_at_once_are_one_sentence() -> None:
    with Processes(1) as executor, pytest.raises(HistoscaleError, match="ended at once"):
        executor.call(die, 0)


def test_errors_of_ours_arrive_as_they_are(job: TileJob) -> None:
    job.plan.source.unlink()
    with Processes(1) as executor, pytest.raises(InputError, match=r"a\.png does not exist"):
        list(executor.run(job, [0]))


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "from histoscale.upscaling.executors import Processes\n"
        "if __name__ == '__main__':\n"
        "    executor = Processes(1)\n"
        "    print(executor.call(os.getpid), flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def test_one_worker_is_this_process(job: TileJob) -> None:
    with executor_for(Options(scale=2, workers=1)) as executor:
        assert isinstance(executor, ThisProcess)
        assert executor.call(os.getpid) == os.getpid()
        assert [result.index for result in executor.run(job, range(12))] == list(range(12))
    assert is_right(job)
    assert isinstance(executor_for(Options(scale=2, workers=3)), Processes)
