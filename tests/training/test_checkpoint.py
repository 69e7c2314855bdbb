"""State on disk and averaged weights."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from histoscale.errors import OutputError, WeightsError
from histoscale.training.checkpoint import copy_fitting, read_state, update_average, write_state


def test_round_trip_leaves_no_partial_file(tmp_path: Path) -> None:
    write_state(tmp_path / "state.pt", {"step": 3, "weight": torch.arange(3)})
    state = read_state(tmp_path / "state.pt")
    assert state["step"] == 3
    assert torch.equal(state["weight"], torch.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    killed = (
        "import os; from pathlib import Path; from histoscale.files import atomic_write\n"
        f"with atomic_write(Path({str(tmp_path / 'state.pt')!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    write_state(tmp_path / "state.pt", {"step": 3})
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_a_full_disk_leaves_the_old_state(disk: Callable[[str], Path]) -> None:
    path = disk("size=64k") / "state.pt"
    write_state(path, {"step": 3})
    with pytest.raises(OutputError, match=r"state\.pt .*no space is left"):
        write_state(path, {"weight": torch.rand(100_000)})
    assert read_state(path) == {"step": 3}
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("content", [None, b"", b"not a state", b"PK\x03\x04broken"])
def test_missing_or_damaged_state_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"state\.pt cannot be read"):
        read_state(path)


def test_average_moves_by_its_decay() -> None:
    average, model = nn.Linear(2, 1), nn.Linear(2, 1)
    before = average.weight.detach().clone()
    update_average(average, model, 0.9)
    torch.testing.assert_close(average.weight, 0.9 * before + 0.1 * model.weight)


def test_copy_fitting_copies_what_fits() -> None:
    target, source = (
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3)),
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 4)),
    )
    assert copy_fitting(target, source.state_dict()) == ["0.bias", "0.weight"]
    assert torch.equal(target[0].weight, source[0].weight)
    with pytest.raises(WeightsError, match="start_from: none"):
        copy_fitting(nn.Linear(5, 5), source.state_dict())
