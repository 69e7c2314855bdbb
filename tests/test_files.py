"""A result appears whole or not at all, and two runs do not work in one folder."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.files import (
    LOCK,
    atomic_files,
    atomic_folder,
    atomic_write,
    fitted,
    lock,
    refuse_existing,
    refuse_links,
    refuse_unwritable,
    remove_leftovers,
    write_text,
    writing,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def new_file(target: Path, *, overwrite: bool = True) -> Iterator[None]:
    """A file of the text "new"."""
    with atomic_write(target, overwrite=overwrite) as temporary:
        temporary.write_text("new")
        yield


@contextmanager
def new_folder(target: Path, *, overwrite: bool = True) -> Iterator[None]:
    """A folder with a file of the text "new" in a folder in it."""
    with atomic_folder(target, overwrite=overwrite) as temporary:
        (temporary / "0").mkdir()
        (temporary / "0" / "a").write_text("new")
        yield


@contextmanager
def new_files(target: Path, *, overwrite: bool = True) -> Iterator[None]:
    """A file of the text "new" and another, together."""
    with atomic_files(target.parent) as temporary:
        (temporary / target.name).write_text("new")
        (temporary / "other").write_text("other")
        yield


def content(target: Path) -> str:
    return (target / "0" / "a" if target.is_dir() else target).read_text()


BOTH = pytest.mark.parametrize("new", [new_file, new_folder])
ALL = pytest.mark.parametrize("new", [new_file, new_folder, new_files])
New = Callable[..., "contextmanager[None]"]


# Whole.


@ALL
def test_it_appears_when_the_block_ends(new: New, tmp_path: Path) -> None:
    target = tmp_path / "made" / "for it" / "x.zarr"
    with new(target):
        assert not target.exists()
    assert content(target) == "new"
    assert set(names(target.parent)) <= {"x.zarr", "other"}


@ALL
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_earlier_one_and_nothing_else(
    error: type[BaseException], new: New, tmp_path: Path
) -> None:
    write_text(tmp_path / "x", "earlier")
    with pytest.raises(error), new(tmp_path / "x"):
        raise error
    assert names(tmp_path) == ["x"]
    assert content(tmp_path / "x") == "earlier"


@ALL
def test_it_takes_the_place_of_an_earlier_one(new: New, tmp_path: Path) -> None:
    with new(tmp_path / "x"):
        pass
    with new(tmp_path / "x"):
        pass
    assert content(tmp_path / "x") == "new"
    assert set(names(tmp_path)) <= {"x", "other"}


def test_files_that_come_together_leave_others_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "mine", "a person's own")
    with new_files(tmp_path / "x"):
        pass
    assert names(tmp_path) == ["mine", "other", "x"]


@BOTH
def test_what_came_meanwhile_is_kept(new: New, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="x exists already"), new(tmp_path / "x", overwrite=False):
        (tmp_path / "x").write_text("theirs")
    assert names(tmp_path) == ["x"]
    assert content(tmp_path / "x") == "theirs"


def test_the_earlier_folder_is_restored_if_the_new_one_cannot_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.zarr"
    target.mkdir()
    (target / "earlier").touch()
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if to == target and not (path / "earlier").exists():
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match=r"x\.zarr .*Input/output error"), new_folder(target):
        pass
    assert names(target) == ["earlier"]
    assert names(tmp_path) == ["x.zarr"]


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (order.append("rename"), replace(path, to))[1])
    write_text(tmp_path / "x", "text")
    assert order[:2] == ["fsync", "rename"]


# Temporary names.


@pytest.mark.parametrize(
    "name",
    ["x.tiff", "x" * 250 + ".tiff", "ü" * 120 + ".png", "切" * 83 + ".png", "v1." + "a" * 240, "切" * 85],
    ids=range(6),
)
def test_a_temporary_name_is_short_and_has_the_suffix(name: str, tmp_path: Path) -> None:
    with atomic_write(tmp_path / name) as temporary:
        assert len(os.fsencode(temporary.name)) < 180
        assert temporary.suffix == (Path(name).suffix if len(Path(name).suffix) in range(1, 10) else ".part")
        assert temporary.name.startswith(".")
        temporary.name.encode()  # no character is cut in two
    assert names(tmp_path) == [name]


def test_a_name_of_foreign_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe" * 60 + b".png")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    write_text(tmp_path / name, "new")
    assert names(tmp_path) == [name]


@ALL
def test_a_link_planted_under_the_temporary_name_is_not_followed(
    new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    for stem in ("x", "files"):
        (tmp_path / "out" / f".{stem}.{'0' * 16}.part").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError), new(tmp_path / "out" / "x"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "out" / "x").exists()


def test_a_temporary_name_cannot_be_guessed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "x") as one, atomic_write(tmp_path / "x") as other:
        assert one != other


# Leftovers.


KILLED = """
import os, sys
from pathlib import Path
from histoscale.files import atomic_folder, atomic_write
folder, file = atomic_folder(Path(sys.argv[1])), atomic_write(Path(sys.argv[2]))
(folder.__enter__() / "0").mkdir()
file.__enter__().write_text("half")
os.kill(os.getpid(), 9)
"""


def test_a_kill_between_write_and_rename_leaves_the_earlier_file(tmp_path: Path) -> None:
    folder, file = tmp_path / "x[1].zarr", tmp_path / "x[1].tiff"
    write_text(file, "earlier")
    done = subprocess.run([sys.executable, "-c", KILLED, folder, file], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.read_text() == "earlier"
    assert len(names(tmp_path)) == 3
    remove_leftovers(folder)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tiff", ".tiff"], "only what is asked for"
    remove_leftovers(file)
    assert names(tmp_path) == ["x[1].tiff"]


def test_a_link_among_leftovers_is_deleted_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / f".x.{'0' * 16}.part.png").symlink_to(tmp_path / "precious")
    remove_leftovers(tmp_path / "x.png")
    assert names(tmp_path) == ["precious"]
    assert names(tmp_path / "precious") == ["file"]


def test_what_only_looks_like_a_leftover_stays(tmp_path: Path) -> None:
    for name in (".x.part.png", ".x.mine.part.png", f".x.{'0' * 16}.part.jpg", f".x.y.{'0' * 16}.part.png"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "x.png")
    assert len(names(tmp_path)) == 4


# One sentence.


@ALL
def test_a_full_disk(new: New, disk: Callable[[str], Path]) -> None:
    folder = disk("size=64k")
    with pytest.raises(OutputError, match="no space is left on the disk"), new(folder / "x.png"):
        (folder / "full").write_bytes(bytes(100_000))
    assert names(folder) == ["full"]


def test_content_that_does_not_reach_the_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=r"x\.png .*no space is left"):
        write_text(tmp_path / "x.png", "text")
    assert names(tmp_path) == []


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"page\.html .*a file is in the way of .*file\.$"):
        write_text(tmp_path / "file" / "page.html", "text")


def test_an_error_of_the_disk_is_one_sentence_with_advice() -> None:
    with pytest.raises(OutputError, match=r"^The page cannot be written: Is a directory; think\.$") as caught:  # noqa: SIM117
        with writing("The page", "think"):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
    assert isinstance(caught.value.__cause__, OSError)


def test_errors_that_are_not_of_the_disk_pass() -> None:
    with pytest.raises(ValueError, match="another"), writing("The page"):
        raise ValueError("another")


# Refused before the work.


@pytest.mark.parametrize("is_dangling", [False, True])
def test_what_exists_is_refused_and_named(is_dangling: bool, tmp_path: Path) -> None:
    if is_dangling:
        (tmp_path / "x.png").symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / "x.png").touch()
    with pytest.raises(OutputError, match=r"x\.png exists already: .*--overwrite"):
        refuse_existing(tmp_path / "new.png", tmp_path / "x.png")
    refuse_existing(tmp_path / "new.png")


def test_a_read_only_disk(disk: Callable[[str], Path]) -> None:
    with pytest.raises(OutputError, match="read-only"):
        refuse_unwritable(disk("ro,size=64k") / "new" / "x.png")


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(OutputError, match="read-only"):
        refuse_unwritable(tmp_path / "new" / "x.png")


def test_a_file_where_a_folder_is_needed_and_a_folder_where_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="a is not a folder"):
        refuse_unwritable(tmp_path / "a" / "x.png")
    with pytest.raises(OutputError, match="a is a file"):
        refuse_unwritable(tmp_path / "a", is_folder=True)
    with pytest.raises(OutputError, match="is a folder"):
        refuse_unwritable(tmp_path)
    refuse_unwritable(tmp_path, is_folder=True)


# One run at a time.


def test_a_folder_is_for_one_run_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with lock(folder):
        with pytest.raises(OutputError, match=r"^Another run .*run: wait"), lock(folder):
            pass
        (folder / "scores.csv").touch()
        assert LOCK in names(folder)
    with lock(folder):
        pass
    assert names(folder) == ["scores.csv"]


def test_a_dead_run_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from histoscale.files import lock\n"
        f"with lock(Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert names(tmp_path) == [LOCK]
    with lock(tmp_path):
        pass
    assert names(tmp_path) == []


def test_empty_folders_that_were_made_are_removed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "new" / "run"):
        raise ZeroDivisionError
    assert names(tmp_path) == []
    (tmp_path / "mine").mkdir()
    with lock(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system opens what a link points to")
def test_a_link_planted_under_the_name_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="run cannot be written"), lock(tmp_path / "run"):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a file is in the way of .*file"), lock(tmp_path / "file"):
        pass


def test_a_file_system_without_locks_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(held: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("histoscale.files.FileLock.acquire", refuse)
    with lock(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


# Names.


@pytest.mark.parametrize("name", ["a.tif", "x" * 300, "名" * 90, os.fsdecode(b"\xff" * 260)])
def test_a_name_is_cut_to_what_file_systems_take(name: str, tmp_path: Path) -> None:
    names = [fitted(name + end, ".", ".store") for end in ("1", "2")]
    for fit in names:
        assert len(os.fsencode(fit)) <= 255
        assert fit.startswith(".")
        assert fit.endswith(".store")
        (tmp_path / fit).touch()
    assert len(set(names)) == 2
    assert fitted("a.tif", ".", ".store") == ".a.tif.store"


def test_a_text_with_a_name_of_foreign_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", '{"name": "' + os.fsdecode(b"\xff") + '"}')
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "\udcff"}


def test_a_folder_that_holds_a_link_is_refused(tmp_path: Path) -> None:
    refuse_links(tmp_path / "missing")
    (tmp_path / "a" / "b").mkdir(parents=True)
    refuse_links(tmp_path)
    (tmp_path / "a" / "b" / "c").symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"b/c is a link"):
        refuse_links(tmp_path)
