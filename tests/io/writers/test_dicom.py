"""DICOM slides as wsidicom, OpenSlide and pydicom see them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest

from histoscale.errors import OutputError
from histoscale.io.formats import describe
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Encoding, OutputSlide

pydicom = pytest.importorskip("pydicom", reason="DICOM is an extra")
wsidicom = pytest.importorskip("wsidicom", reason="DICOM is an extra")

from histoscale.io.writers import dicom  # noqa: E402 - needs pydicom
from histoscale.io.writers.formats import write_slide  # noqa: E402

SIZES = ((2101, 1301), (1051, 651), (526, 326))
JPEG = Encoding("jpeg", 90)
LOSSLESS = [Encoding("none", 90), Encoding("jpeg2000", 100)]


def written(folder: Path, slide: OutputSlide, encoding: Encoding = JPEG) -> Path:
    target = folder / "x.dcm"
    write_slide(target, slide, encoding, folder / "scratch", overwrite=False)
    assert sorted(path.name for path in folder.iterdir()) == ["scratch", "x.dcm"]
    return target


def loss(found: np.ndarray, meant: np.ndarray) -> float:
    return float(np.abs(found.astype(int) - meant).mean())


@pytest.mark.parametrize("encoding", [JPEG, Encoding("jpeg2000", 90), *LOSSLESS], ids=str)
def test_wsidicom_finds_levels_micrometres_and_pixels(
    tmp_path: Path, finished_slide: OutputSlide, finished_levels: list[np.ndarray], encoding: Encoding
) -> None:
    with wsidicom.WsiDicom.open(written(tmp_path, finished_slide, encoding)) as slide:
        levels = list(slide.levels)
        assert tuple((level.size.width, level.size.height) for level in levels) == SIZES
        for number, level in enumerate(levels):
            assert level.mpp.width == pytest.approx(0.25 * 2**number, rel=1e-12)
            assert level.mpp.height == pytest.approx(0.2600001 * 2**number, rel=1e-12)
            pixels = np.asarray(slide.read_region((0, 0), number, SIZES[number]))
            if encoding.is_lossless:
                assert np.array_equal(pixels, finished_levels[number])
            else:
                assert 0 < loss(pixels, finished_levels[number]) < 3
        assert np.asarray(slide.read_label()).shape == (40, 50, 3)
        assert np.asarray(slide.read_overview()).shape == (30, 90, 3)


def test_levels_of_an_overview_stay_one_pyramid(tmp_path: Path, finished_slide: OutputSlide) -> None:
    coarse = replace(finished_slide, mpp=Mpp(28.97, 28.97))
    with wsidicom.WsiDicom.open(written(tmp_path, coarse)) as slide:
        assert tuple((level.size.width, level.size.height) for level in slide.levels) == SIZES


@pytest.mark.parametrize("encoding", [JPEG, Encoding("jpeg2000", 90), *LOSSLESS], ids=str)
def test_openslide_finds_levels_micrometres_and_pixels(
    tmp_path: Path, finished_slide: OutputSlide, finished_pixels: np.ndarray, encoding: Encoding
) -> None:
    with openslide.OpenSlide(written(tmp_path, finished_slide, encoding) / "level-0.dcm") as slide:
        assert slide.level_dimensions == SIZES
        found = [float(slide.properties[f"openslide.mpp-{axis}"]) for axis in "xy"]
        assert found == pytest.approx([0.25, 0.2600001], rel=1e-12)
        assert slide.properties["openslide.objective-power"] == "40"
        assert loss(np.asarray(slide.read_region((0, 0), 0, SIZES[0]).convert("RGB")), finished_pixels) < 3
        assert slide.color_profile is not None
        assert slide.color_profile.tobytes()[: len(finished_slide.icc_profile)] == finished_slide.icc_profile
        label = np.asarray(slide.associated_images["label"].convert("RGB"))
        assert loss(label, finished_slide.associated["label"]) < 4
        assert "macro" in slide.associated_images


def test_says_what_it_is(tmp_path: Path, finished_slide: OutputSlide) -> None:
    target = written(tmp_path, finished_slide)
    for level, (width, height) in enumerate(SIZES):
        head = pydicom.dcmread(target / f"level-{level}.dcm", stop_before_pixels=True)
        assert head.SOPClassUID == pydicom.uid.VLWholeSlideMicroscopyImageStorage
        assert list(head.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
        assert head.DimensionOrganizationType == "TILED_FULL"
        assert head.ImagedVolumeWidth == pytest.approx(width * 2**level * 0.25 / 1000)
        assert head.ImagedVolumeHeight == pytest.approx(height * 2**level * 0.26 / 1000, rel=1e-5)
        assert "super-resolved, not for primary diagnosis" in head.DerivationDescription
        assert "iste-fast" in head.DerivationDescription
        assert "ab" * 32 in head.DerivationDescription
        assert head.ImageComments == finished_slide.provenance.to_json()
        (equipment,) = head.ContributingEquipmentSequence
        assert (equipment.Manufacturer, equipment.ManufacturerModelName) == ("histoscale", "iste-fast")
        assert head.LossyImageCompression == "01"
        assert 5 < float(head.LossyImageCompressionRatio) < 500


def test_our_own_reader_knows_it_again(tmp_path: Path, finished_slide: OutputSlide) -> None:
    found = describe(written(tmp_path, finished_slide))
    assert found.path.name == "level-0.dcm"
    assert (found.format, found.levels_xy, found.power) == ("DICOM slide", SIZES, 40)
    assert found.provenance == json.loads(finished_slide.provenance.to_json())
    assert found.icc_profile is not None


def test_identifiers_are_valid_and_shared_where_they_should_be(
    tmp_path: Path, finished_slide: OutputSlide
) -> None:
    heads = [pydicom.dcmread(p, stop_before_pixels=True) for p in written(tmp_path, finished_slide).iterdir()]
    assert len({head.SOPInstanceUID for head in heads}) == len({head.InstanceNumber for head in heads}) == 5
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "AcquisitionDateTime"):
        assert len({head[keyword].value for head in heads}) == 1
    for head in heads:
        assert head.file_meta.MediaStorageSOPInstanceUID == head.SOPInstanceUID
        uids = [element.value for element in head.iterall() if element.VR == "UI"]
        assert len(uids) > 6
        assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_frames_are_found_by_the_table(tmp_path: Path, finished_slide: OutputSlide) -> None:
    dataset = pydicom.dcmread(written(tmp_path, finished_slide) / "level-0.dcm")
    offsets, lengths = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    by_table = pydicom.encaps.generate_frames(dataset.PixelData, extended_offsets=(offsets, lengths))
    by_scan = pydicom.encaps.generate_fragments(dataset.PixelData[8:])
    found = list(by_table)
    assert found == list(by_scan)
    assert len(found) == dataset.NumberOfFrames == 15
    assert all(frame.startswith(b"\xff\xd8") for frame in found)


def test_every_pixel_is_asked_for_once_and_tile_by_tile(tmp_path: Path, finished_slide: OutputSlide) -> None:
    asked = []

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        asked.append(size_xy)
        return finished_slide.read(l0_xy, size_xy)

    written(tmp_path, replace(finished_slide, read=read))
    assert sum(width * height for width, height in asked) == 2101 * 1301
    assert max(width * height for width, height in asked) == 512 * 512


def test_a_slide_of_nothing_but_pixels(tmp_path: Path, finished_slide: OutputSlide) -> None:
    bare = replace(finished_slide, power=None, icc_profile=None, associated={})
    target = written(tmp_path, bare)
    assert sorted(path.name for path in target.iterdir()) == ["level-0.dcm", "level-1.dcm", "level-2.dcm"]
    with openslide.OpenSlide(target / "level-0.dcm") as slide:
        assert "openslide.objective-power" not in slide.properties


def test_refuses_more_uncompressed_pixels_than_fit(tmp_path: Path, finished_slide: OutputSlide) -> None:
    huge = replace(finished_slide, size_xy=(37888, 37888))
    with pytest.raises(OutputError, match=r"4 GiB.*jpeg2000 --quality 100"):
        written(tmp_path, huge, Encoding("none", 90))


def test_replaces_its_own_folder_and_no_other(tmp_path: Path, finished_slide: OutputSlide) -> None:
    target = written(tmp_path, finished_slide)
    before = (target / "level-0.dcm").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        write_slide(target, finished_slide, JPEG, tmp_path / "scratch", overwrite=False)
    assert (target / "level-0.dcm").read_bytes() == before
    write_slide(target, finished_slide, JPEG, tmp_path / "scratch", overwrite=True)
    assert (target / "level-0.dcm").read_bytes() != before
    (target / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.dcm.*not DICOM"):
        write_slide(target, finished_slide, JPEG, tmp_path / "scratch", overwrite=True)
    assert (target / "notes.txt").read_text() == "mine"


def test_leaves_nothing_if_reading_fails(tmp_path: Path, finished_slide: OutputSlide) -> None:
    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        if l0_xy[1]:
            raise KeyboardInterrupt
        return finished_slide.read(l0_xy, size_xy)

    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, replace(finished_slide, read=read))
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_keeps_no_file_that_reads_back_wrong(
    tmp_path: Path, finished_slide: OutputSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dicom._encoded
    monkeypatch.setattr(dicom, "_encoded", lambda frame, encoding: good(255 - frame, encoding))
    with pytest.raises(OutputError, match="failed verification"):
        written(tmp_path, finished_slide)
    assert not (tmp_path / "x.dcm").exists()


def test_a_full_disk_is_one_sentence(disk: Callable[[str], Path], finished_slide: OutputSlide) -> None:
    folder = disk("size=6m")
    with pytest.raises(OutputError, match="no space is left"):
        write_slide(
            folder / "x.dcm", finished_slide, Encoding("none", 90), folder / "scratch", overwrite=False
        )
    assert not list(folder.glob("**/*.dcm"))


def test_patient_study_and_container_of_a_dicom_source_are_kept(
    tmp_path: Path, finished_slide: OutputSlide
) -> None:
    study = {
        "PatientName": "Müller^Ada",
        "PatientID": "4711",
        "StudyInstanceUID": "1.2.3.4",
        "StudyDate": "20200131",
        "StudyDescription": "Lung",
        "ContainerIdentifier": "S20-17",
    }
    source, target = tmp_path / "source.dcm", tmp_path / "again.dcm"
    write_slide(
        source, replace(finished_slide, study=study), Encoding("jpeg", 90), tmp_path / "s", overwrite=False
    )
    known = describe(source).study
    assert study.items() <= known.items()
    write_slide(
        target, replace(finished_slide, study=known), Encoding("jpeg", 90), tmp_path / "s", overwrite=False
    )
    written = pydicom.dcmread(target / "level-0.dcm", stop_before_pixels=True)
    assert {word: str(written[word].value) for word in study} == study
    assert written.SeriesInstanceUID != pydicom.dcmread(source / "level-0.dcm").SeriesInstanceUID
    assert written.SpecimenDescriptionSequence[0].SpecimenIdentifier == "S20-17"
