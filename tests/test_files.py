"""A file appears whole or not at all."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.files import (
    alone_in,
    prepare,
    refuse_existing,
    refuse_unwritable,
    remove_leftovers,
    replacing,
    replacing_folder,
    together,
    whole,
    write_whole,
    writing,
)


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


def test_a_whole_folder_appears(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.zarr"
    with replacing_folder(target) as folder:
        (folder / "0").mkdir()
        (folder / "0" / "a").write_bytes(b"abc")
        assert not target.exists()
    assert (target / "0" / "a").read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x.zarr"
    target.mkdir()
    (target / "old").write_bytes(b"")
    with pytest.raises(error), replacing_folder(target) as folder:  # noqa: PT012
        (folder / "half").write_bytes(b"")
        raise error
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "x.zarr"
    for name in ("old", "new"):
        with replacing_folder(target) as folder:
            (folder / name).write_bytes(b"")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.zarr"
    with replacing_folder(target) as folder:
        (folder / "old").write_bytes(b"")
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if to == target and not (path / "old").exists():
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error"), replacing_folder(target):
        pass
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "x.zarr"
    with (
        pytest.raises(OutputError, match="exists already"),
        replacing_folder(target, overwrite=False),
    ):
        target.mkdir()
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_can_be_removed(tmp_path: Path) -> None:
    target, other = tmp_path / "x[1].zarr", tmp_path / "x[1].tiff"
    script = (
        "import os, sys; from pathlib import Path;"
        "from histoscale.files import replacing, replacing_folder;"
        "entered = [replacing_folder(Path(sys.argv[1])), replacing(Path(sys.argv[2]))];"
        "(entered[0].__enter__() / '0').mkdir(); entered[1].__enter__(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, target, other], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(target)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".x[1].tiff-")


# Files of results: refused before the work, whole under their names, a sentence where the disk says no.


def test_results_that_are_there_are_refused_and_named_unless_they_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").touch()
    with pytest.raises(OutputError, match=r"scores\.csv exists already; pass --overwrite to replace it"):
        prepare(tmp_path, ("tables.md", "scores.csv"), overwrite=False)
    prepare(tmp_path, ("tables.md", "scores.csv"), overwrite=True)
    prepare(tmp_path / "new" / "folder", ("scores.csv",), overwrite=False)
    assert (tmp_path / "new" / "folder").is_dir()


def test_a_folder_is_for_one_run_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with alone_in(folder):
        said = r"^Another run is at work in .*run: wait for it, or end it\.$"
        with pytest.raises(OutputError, match=said), alone_in(folder):
            pass
        (folder / "scores.csv").touch()
    with alone_in(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["scores.csv"]


def test_a_folder_made_for_nothing_goes_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path / "run"):
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    with alone_in(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = tmp_path / "file" / "page.html"
    said = r"^The page cannot be written: a file is in the way of .*file\.$"
    with pytest.raises(OutputError, match=said), writing("The page"):
        write_whole(text, "text")
    with (
        pytest.raises(OutputError, match=r"^The page cannot be written: Is a directory\.$"),
        writing("The page"),
    ):
        tmp_path.write_text("text", encoding="utf-8")


def test_errors_that_are_not_of_the_disk_pass_through() -> None:
    with pytest.raises(ValueError, match="another"), writing("The page"):
        raise ValueError("another")


def test_a_file_keeps_its_former_content_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("former", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError), whole(path) as partial:
        partial.write_text("half a text, \ud800", encoding="utf-8")  # opens the file before it fails
    assert path.read_text(encoding="utf-8") == "former"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.csv"]
    write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.csv"]


def test_files_come_under_their_names_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), together(tmp_path, {"b.csv": ""}) as unfinished:
        (unfinished / "a.csv").write_text("half a text, \ud800", encoding="utf-8")
    assert not list(tmp_path.iterdir())
    with together(tmp_path / "new", {"b.csv": "text"}) as unfinished:
        (unfinished / "a.csv").touch()
        assert not (tmp_path / "new" / "a.csv").exists()
    assert sorted(entry.name for entry in (tmp_path / "new").iterdir()) == ["a.csv", "b.csv"]
    assert (tmp_path / "new" / "b.csv").read_text(encoding="utf-8") == "text"
