"""What fits and what does not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from histoscale import resources
from histoscale.errors import InputError
from histoscale.resources import PeakMemory, available_bytes, ensure_memory, family, in_words, watching


def test_this_machine_has_some_memory() -> None:
    available = available_bytes()
    assert available is None or 2**24 < available < 2**50


def test_more_than_there_is_is_refused() -> None:
    if available_bytes() is None:
        pytest.skip("this system does not say how much memory it has")
    with pytest.raises(InputError, match=r"x\.png is too large \(1,024 TiB wanted, .* available\)\."):
        ensure_memory(2**50, InputError, "x.png is too large")


def test_little_passes() -> None:
    ensure_memory(1000, InputError, "x.png is too large")


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 bytes"), (1536, "1.5 KiB"), (2**30, "1 GiB"), (5 * 2**40, "5 TiB")]
)
def test_sizes_in_words(n: int, words: str) -> None:
    assert in_words(n) == words


# The peak is that of all processes together, over the time of the block.


pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
MIB = 2**20


def test_memory_that_was_given_back_still_counts() -> None:
    with watching() as peak:
        before = peak.mib
        held = np.ones(200 * MIB, np.uint8)
        peak.look()
        del held
    assert before is not None
    assert peak.mib is not None
    assert 150 < peak.mib - before < 260


def test_children_count() -> None:
    before = PeakMemory()
    before.look()
    program = f"held = bytearray(b'x') * {200 * MIB}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = PeakMemory()
        during.look()
        assert set(family(os.getpid())) >= {os.getpid(), child.pid}
        child.communicate(b"\n")
    assert before.mib is not None
    assert during.mib is not None
    assert 200 < during.mib - before.mib < 260


def test_it_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "INTERVAL_S", 0.001)
    looks: list[int] = []
    monkeypatch.setattr(PeakMemory, "look", lambda self: looks.append(1))
    with watching():
        while len(looks) < 5:
            pass
    assert len(looks) >= 5


def test_where_the_system_does_not_say_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PROCESSES", tmp_path)
    with watching() as peak:
        pass
    assert peak.mib is None
