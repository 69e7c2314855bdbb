"""Files of results: refused before the work, whole under their names, a sentence where the disk says no."""

from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.workflows.result_files import alone_in, prepare, together, whole, write_whole, writing


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
