"""A file appears whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.slides.replacing import refuse_existing, refuse_unwritable, replacing


def test_a_whole_file_appears(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.png"
    with replacing(target) as file:
        file.write(b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x.png"
    target.write_bytes(b"old")
    with pytest.raises(error), replacing(target) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    with pytest.raises(OutputError, match="exists already"), replacing(target, overwrite=False):
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_no_space_is_said_in_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    with pytest.raises(OutputError, match=r"x\.png was not written: no space is left"), replacing(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(disk: Callable[[str], Path]) -> None:
    folder = disk("size=64k")
    with pytest.raises(OutputError, match="no space is left"), replacing(folder / "x.png") as file:
        file.write(bytes(100_000))
    assert list(folder.iterdir()) == []


def test_a_read_only_disk_is_found_before_the_work(disk: Callable[[str], Path]) -> None:
    with pytest.raises(OutputError, match="read-only for you"):
        refuse_unwritable(disk("ro,size=64k") / "new" / "x.png")


def test_a_read_only_folder_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(OutputError, match="read-only for you"):
        refuse_unwritable(tmp_path / "new" / "x.png")


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="is not a folder"):
        refuse_unwritable(tmp_path / "a" / "x.png")


def test_a_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        refuse_unwritable(tmp_path)


def test_even_a_dangling_link_exists(tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="--overwrite"):
        refuse_existing(tmp_path / "x.png")
