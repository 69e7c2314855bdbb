"""Files are told apart by size, content and time; copies of a file are the same."""

import os
import shutil
from pathlib import Path

import pytest

from histoscale.upscaling import fingerprint as module
from histoscale.upscaling.fingerprint import content_digest, fingerprint


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of which only both ends are read."""
    monkeypatch.setattr(module, "END_BYTES", 4)
    path = tmp_path / "a.svs"
    path.write_bytes(b"head....tail")
    return path


@pytest.mark.parametrize(
    ("content", "is_same"),
    [(b"head....tail", True), (b"HEAD....tail", False), (b"head....TAIL", False), (b"head...tail", False)],
)
def test_size_and_both_ends_count(file: Path, content: bytes, is_same: bool) -> None:
    before = content_digest(file)
    file.write_bytes(content)
    assert (content_digest(file) == before) is is_same


def test_a_copy_has_the_digest_and_its_own_time(file: Path) -> None:
    copied = Path(shutil.copy(file, file.with_name("b.svs")))
    os.utime(copied, (1, 1))
    assert content_digest(copied) == content_digest(file)
    assert fingerprint(copied) != fingerprint(file)
    file.write_bytes(b"x")
    assert content_digest(file) != content_digest(copied)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 7, 8, 9])
def test_small_files_are_read_whole(file: Path, size: int) -> None:
    file.write_bytes(b"x" * size)
    before = content_digest(file)
    for place in range(size):
        file.write_bytes(b"x" * place + b"y" + b"x" * (size - place - 1))
        assert (place >= 4 and size - place > 4) or content_digest(file) != before


def test_a_folder_counts_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "0" / "c").mkdir(parents=True)
    (tmp_path / "0" / "c" / "0").write_bytes(b"chunk")
    before = content_digest(tmp_path), fingerprint(tmp_path)
    (tmp_path / "0" / "c" / "0").write_bytes(b"other")
    os.utime(tmp_path / "0" / "c" / "0", ns=(2**61, 2**61))
    assert content_digest(tmp_path) == before[0]  # names and sizes: a slide has too many chunks to read
    assert fingerprint(tmp_path) != before[1]
    (tmp_path / "0" / "c" / "1").write_bytes(b"chunk")
    assert content_digest(tmp_path) != before[0]
