"""Which reader takes a file is decided by its content."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import InputError
from histoscale.slides.reader import describe, read

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(RGB).save(path, format="TIFF")
    assert describe(path).format == "TIFF"
    assert np.array_equal(read(path).pixels, RGB)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.png does not exist"):
        read(tmp_path / "x.png")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        describe(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"x", b"id,name\n1,2\n", bytes(1000), b"GIF89a" + bytes(100)])
def test_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is empty|is no picture or slide of a known format"):
        read(path)
