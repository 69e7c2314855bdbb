"""Which reader takes a file is decided by its content."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import InputError
from histoscale.io import formats
from histoscale.io.dicom_header import series_in
from histoscale.io.formats import describe, is_slide_folder, open_slide, read, slides_in

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


@pytest.fixture
def dicom(data_root: Path) -> bytes:
    return (data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm").read_bytes()


@pytest.mark.parametrize("name", ["LEVEL.DCM", "level", "1.2.840.113619.2.5"])
@pytest.mark.parametrize("stray", ["Thumbs.db", "LICENSE.txt", None])
def test_a_folder_with_one_dicom_slide_under_any_name(
    tmp_path: Path, dicom: bytes, name: str, stray: str | None
) -> None:
    (tmp_path / name).write_bytes(dicom)
    if stray:
        (tmp_path / stray).write_bytes(b"x" * 300)
    assert is_slide_folder(tmp_path)
    assert describe(tmp_path).format == "DICOM slide"
    assert [*slides_in(tmp_path)] == [tmp_path / name]


def test_a_folder_with_two_dicom_slides(tmp_path: Path, dicom: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom)
    (series,) = (found.encode() for found in series_in(tmp_path))
    (tmp_path / "b.dcm").write_bytes(dicom.replace(series, series[:-1] + b"7"))
    (tmp_path / "of-a").write_bytes(dicom[:100_000])
    assert not is_slide_folder(tmp_path)
    assert [*slides_in(tmp_path)] == [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    with pytest.raises(InputError, match="is a folder"):
        describe(tmp_path)


def test_images_beside_a_dicom_slide_make_a_folder_of_images(tmp_path: Path, dicom: bytes) -> None:
    (tmp_path / "a").write_bytes(dicom)
    Image.fromarray(RGB).save(tmp_path / "b.png")
    assert not is_slide_folder(tmp_path)
    assert [path.name for path in slides_in(tmp_path)] == ["a", "b.png"]


def test_computed_tomography_is_not_supported(tmp_path: Path, dicom: bytes) -> None:
    path = tmp_path / "ct.dcm"
    slide, scan = b"1.2.840.10008.5.1.4.1.1.77.1.6", b"1.2.840.10008.5.1.4.1.1.2"
    path.write_bytes(dicom.replace(slide, scan.ljust(len(slide), b"\0"), 1))
    with pytest.raises(InputError, match=r"ct\.dcm is not supported: DICOM"):
        describe(path)
    assert [*slides_in(tmp_path)] == []


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.qptiff", "a.btf", "a.svslide", "a", "1.2.3"])
@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_a_folder_is_searched_by_content(tmp_path: Path, name: str, form: str) -> None:
    Image.fromarray(RGB).save(tmp_path / name, form)
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.tif")
    assert [*slides_in(tmp_path)] == [tmp_path / name]


def test_a_damaged_file_of_a_known_name_is_not_passed_over(tmp_path: Path) -> None:
    for name in ("a.svs", "b.png", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in slides_in(tmp_path)] == ["a.svs", "b.png"]


@pytest.mark.parametrize("name", ["p.tif", "p.png", "p"])
def test_a_pipe_is_not_a_regular_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        describe(tmp_path / name)


def test_the_thumbnail_of_a_slide_is_not_the_slide(cases: Path) -> None:
    with pytest.raises(InputError, match=r"lonely\.mrxs .*missing.*lonely beside it"):
        describe(cases / "slides" / "lonely.mrxs")


def test_a_jpeg_named_mrxs_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "x.mrxs", "JPEG")
    with pytest.raises(InputError, match=r"x\.mrxs .*missing"):
        describe(tmp_path / "x.mrxs")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_file_is_opened_once_and_closed(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    path = tmp_path / "x"
    Image.fromarray(RGB).save(path, form)
    monkeypatch.setattr(formats, "open_file", lambda path: (opened.append(path.open("rb")), opened[-1])[1])
    with open_slide(path) as slide:
        slide.read_region(0, (0, 0), (7, 5))
        slide.read_pixels()
    assert [file.closed for file in opened] == [True]
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError):
        open_slide(path)
    assert opened[-1].closed
