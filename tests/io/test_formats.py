"""Which reader takes a file is decided by its content."""

import os
import shutil
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from histoscale.errors import InputError
from histoscale.io.formats import describe, is_slide_folder, open_slide, read

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(RGB).save(path, format="TIFF")
    assert describe(path).format == "TIFF"
    assert np.array_equal(read(path).colour, RGB)


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
def test_neither_image_nor_slide(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is empty|x\.png is not an image"):
        read(path)


def test_a_folder_with_one_dicom_slide(data_root: Path, tmp_path: Path) -> None:
    original = data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm"
    shutil.copy(original, tmp_path / "level-0.dcm")
    (tmp_path / "other.dcm").write_bytes(b"x")
    assert is_slide_folder(tmp_path)
    assert describe(tmp_path).size_xy == (1152, 700)
    with open_slide(tmp_path) as slide:
        assert slide.read_region(0, (1100, 600), (52, 100)).shape == (100, 52, 3)


def test_a_folder_with_two_dicom_slides(data_root: Path, tmp_path: Path) -> None:
    content = (data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm").read_bytes()
    with openslide.OpenSlide(
        data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm"
    ) as slide:
        series = slide.properties["dicom.SeriesInstanceUID"].encode()
    (tmp_path / "a.dcm").write_bytes(content)
    (tmp_path / "b.dcm").write_bytes(content.replace(series, series[:-1] + b"7"))
    assert not is_slide_folder(tmp_path)
