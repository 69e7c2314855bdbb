"""The series of DICOM files, by their content."""

import io
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pytest

from histoscale.io.dicom_header import WHOLE_SLIDE, DicomHeader, is_dicom, read_header, series_in

pydicom = pytest.importorskip("pydicom", reason="DICOM is an extra")
AsFile: TypeAlias = Callable[[bytes], BinaryIO]
NAME = "multiframe_camelyon_challenge_image.dcm"


def dicom(series: str = "1.2.3", sop_class: str = WHOLE_SLIDE, syntax: str | None = None) -> bytes:
    """A DICOM file with the elements that come before the pixels, sequences among them."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = sop_class
    dataset.Modality = "SM"
    other = pydicom.Dataset()
    other.SeriesInstanceUID = "9.9.9"  # of another series, which is referred to
    other.ReferencedSOPSequence = pydicom.Sequence([pydicom.Dataset(), pydicom.Dataset()])
    dataset.ReferencedSeriesSequence = pydicom.Sequence([other])
    dataset["ReferencedSeriesSequence"].is_undefined_length = True
    other.is_undefined_length_sequence_item = True
    dataset.SeriesInstanceUID = series
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.file_meta.TransferSyntaxUID = syntax or pydicom.uid.ExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("syntax", [None, "1.2.840.10008.1.2"], ids=["explicit", "implicit"])
def test_class_and_series_are_those_of_pydicom(as_file: AsFile, syntax: str | None) -> None:
    file = as_file(dicom(syntax=syntax))
    assert is_dicom(file)
    assert read_header(file) == DicomHeader(WHOLE_SLIDE, "1.2.3")
    assert file.tell() == 0


def test_a_real_file(data_root: Path) -> None:
    path = data_root / "wsi" / "dicom" / NAME
    expected = pydicom.dcmread(path, stop_before_pixels=True)
    with path.open("rb") as file:
        assert read_header(file) == DicomHeader(expected.SOPClassUID, expected.SeriesInstanceUID)


@pytest.mark.parametrize("content", [b"", b"x" * 500, b"\x89PNG" + bytes(200)])
def test_other_files(as_file: AsFile, content: bytes) -> None:
    assert read_header(as_file(content)) is None


@pytest.mark.parametrize("length", [132, 140, 200, 300])
def test_a_file_that_is_cut_off_has_no_series(as_file: AsFile, length: int) -> None:
    header = read_header(as_file(dicom()[:length]))
    assert header is not None
    assert header.series == ""


def test_sequences_without_end_are_left(as_file: AsFile) -> None:
    sequence = struct.pack("<HH2s2xL", 0x0008, 0x1115, b"SQ", 2**32 - 1)
    nested = sequence + struct.pack("<HHL", 0xFFFE, 0xE000, 2**32 - 1)
    assert read_header(as_file(bytes(128) + b"DICM" + nested * 100_000)) == DicomHeader("", "")


def test_a_folder_gives_its_series_whatever_the_names_of_the_files(tmp_path: Path) -> None:
    for name, series in [("a.DCM", "1.1"), ("b", "1.1"), ("1.2.840.7", "1.1"), ("c.dcm", "1.2")]:
        (tmp_path / name).write_bytes(dicom(series))
    (tmp_path / "b").write_bytes(dicom("1.1") + bytes(100))
    (tmp_path / "ct.dcm").write_bytes(dicom("1.3", sop_class="1.2.840.10008.5.1.4.1.1.2"))
    (tmp_path / "Thumbs.db").write_bytes(b"x" * 1000)
    (tmp_path / "LICENSE").write_text("words")
    (tmp_path / "dangling.dcm").symlink_to(tmp_path / "missing")
    (tmp_path / "folder").mkdir()
    assert series_in(tmp_path) == {"1.1": tmp_path / "b", "1.2": tmp_path / "c.dcm"}


def test_a_real_series(data_root: Path, tmp_path: Path) -> None:
    shutil.copy(data_root / "wsi" / "dicom" / NAME, tmp_path / "1.2.3")
    assert [*series_in(tmp_path).values()] == [tmp_path / "1.2.3"]
