"""Whatever the format: whole or not at all, and no surprise at the end."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from histoscale.errors import InputError, OutputError
from histoscale.io.formats import describe
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import (
    FORMATS,
    SLIDE_QUALITY,
    Format,
    encoding_for,
    format_of,
    is_slide_target,
    refuse_impossible_slide,
    refuse_unknown_mpp,
    write_slide,
)
from histoscale.io.writers.pyramid import estimate_bytes

TARGETS = ["x.ome.tiff", "x.ome.zarr", "x.dcm"]


@pytest.mark.parametrize(
    ("name", "form", "is_slide"),
    [
        *[("x.ome.tiff", "OME-TIFF", True), ("a.b.OME.TIF", "OME-TIFF", True), ("x.zarr", "OME-Zarr", True)],
        *[("x.ome.zarr", "OME-Zarr", True), ("x.dcm", "DICOM", True)],
        *[("x.tiff", "TIFF", False), ("x.png", "PNG", False), ("ome.tiff", "TIFF", False)],
    ],
)
def test_the_suffix_decides(name: str, form: str, is_slide: bool) -> None:
    found = format_of(Path(name))
    assert (found.name, found.is_slide) == (form, is_slide)
    assert is_slide_target(Path(name)) == is_slide


@pytest.mark.parametrize("name", ["x", "x.gif", "x.svs", "dcm"])
def test_unknown_suffixes(name: str) -> None:
    assert not is_slide_target(Path(name))
    with pytest.raises(OutputError, match=rf"{name} has no suffix .*\.png"):
        format_of(Path(name))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_row_of_the_table_names_functions_that_exist(form: Format) -> None:
    for name in filter(None, (form.writer, form.check)):
        assert callable(resolve_name(f"histoscale.io.writers.{name}"))
    assert form.is_slide == bool(form.check)


def test_a_person_goes_before_the_table() -> None:
    assert encoding_for(Path("x.dcm")) == Encoding("jpeg", SLIDE_QUALITY)
    assert encoding_for(Path("x.ome.zarr")).compression == "zstd"
    assert encoding_for(Path("x.ome.tif"), "jpeg2000", 100, "ome") == Encoding("jpeg2000", 100)


@pytest.mark.parametrize("name", TARGETS)
def test_the_format_of_the_suffix_is_written(tmp_path: Path, finished_slide: OutputSlide, name: str) -> None:
    target = tmp_path / "new" / name
    write_slide(target, finished_slide, encoding_for(target), tmp_path / "scratch", overwrite=False)
    assert describe(target).format.startswith(format_of(target).name)
    assert list((tmp_path / "new").iterdir()) == [target]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("error", [InputError("a tile is damaged"), KeyboardInterrupt()])
def test_a_failure_while_reading_leaves_nothing(
    tmp_path: Path, finished_slide: OutputSlide, name: str, error: BaseException
) -> None:
    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        if l0_xy[1]:
            raise error
        return finished_slide.read(l0_xy, size_xy)

    target, tall = tmp_path / name, replace(finished_slide, read=read, size_xy=(300, 3000))
    with pytest.raises(type(error)):
        write_slide(target, tall, encoding_for(target), tmp_path, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TARGETS)
def test_an_existing_target_is_refused_before_anything_is_read(
    tmp_path: Path, finished_slide: OutputSlide, name: str
) -> None:
    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        raise NotImplementedError

    target = tmp_path / name
    target.mkdir() if name.endswith("zarr") else target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        write_slide(target, replace(finished_slide, read=read), encoding_for(target), tmp_path, False)


@pytest.mark.parametrize("name", TARGETS)
def test_an_existing_target_is_replaced_on_request(
    tmp_path: Path, finished_slide: OutputSlide, name: str
) -> None:
    target = tmp_path / name
    for size_xy in ((100, 90), (80, 70)):
        small = replace(finished_slide, size_xy=size_xy)
        write_slide(target, small, encoding_for(target), tmp_path, overwrite=True)
        assert describe(target).size_xy == size_xy
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk(disk: Callable[[str], Path], finished_slide: OutputSlide) -> None:
    target = disk("size=6m") / "x.ome.tiff"
    with pytest.raises(OutputError, match=r"x\.ome\.tiff .*no space is left"):
        write_slide(target, finished_slide, Encoding("none", 90), target.parent / "scratch", overwrite=False)
    assert [path.name for path in target.parent.iterdir()] == ["scratch"]


def test_a_full_scratch_disk(
    disk: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, finished_slide: OutputSlide
) -> None:
    target, scratch = tmp_path_factory.mktemp("roomy") / "x.ome.tiff", disk("size=1m")
    with pytest.raises(OutputError, match="no space is left"):
        write_slide(target, finished_slide, Encoding("jpeg", 90), scratch, overwrite=False)
    assert list(target.parent.iterdir()) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", TARGETS)
def test_a_read_only_folder_is_found_before_the_work(
    disk: Callable[[str], Path], finished_slide: OutputSlide, name: str
) -> None:
    target = disk("ro,size=1m") / name
    with pytest.raises(OutputError, match="read-only"):
        refuse_impossible_slide(target, encoding_for(target), overwrite=False)


@pytest.mark.parametrize(
    ("name", "encoding", "sentence"),
    [
        ("x.ome.zarr", Encoding("jpeg", 90), r"x\.ome\.zarr.* jpeg .*zstd, deflate, none"),
        ("x.ome.tif", Encoding("jpeg2000", 90, layout="both"), r"x\.ome\.tif.*OpenSlide.*jpeg2000"),
        ("x.dcm", Encoding("zstd", 90), r"x\.dcm.* zstd .*jpeg, jpeg2000, none"),
        ("x.tif", Encoding("jpeg", 90), r"x\.tif has no suffix of a slide"),
    ],
)
def test_impossible_encodings_are_found_before_the_work(
    tmp_path: Path, name: str, encoding: Encoding, sentence: str
) -> None:
    with pytest.raises(OutputError, match=sentence):
        refuse_impossible_slide(tmp_path / name, encoding, overwrite=False)


def test_micrometres_are_asked_for_where_the_format_must_have_them(
    tmp_path: Path, finished_slide: OutputSlide
) -> None:
    for name in ("x.ome.tiff", "x.ome.zarr"):
        refuse_unknown_mpp(tmp_path / name, None)
    target, unknown = tmp_path / "x.dcm", replace(finished_slide, mpp=None)
    with pytest.raises(OutputError, match=r"x\.dcm.*micrometres per pixel.*--source-mpp"):
        write_slide(target, unknown, encoding_for(target), tmp_path / "scratch", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "histoscale.io.writers.dicom", raising=False)
    monkeypatch.delattr("histoscale.io.writers.dicom", raising=False)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setitem(sys.modules, "pydicom.pixels.utils", None)
    with pytest.raises(OutputError, match=r"x\.dcm needs .* pip install 'histoscale\[dicom\]'"):
        refuse_impossible_slide(tmp_path / "x.dcm", Encoding("jpeg", 90), overwrite=False)


def test_a_folder_in_the_way_of_a_file_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "x.ome.tiff").mkdir()
    (tmp_path / "x.zarr").write_bytes(b"")
    with pytest.raises(OutputError, match=r"x\.ome\.tiff is a folder"):
        refuse_impossible_slide(tmp_path / "x.ome.tiff", Encoding("jpeg", 90), overwrite=True)
    with pytest.raises(OutputError, match="is a file"):
        refuse_impossible_slide(tmp_path / "x.zarr", Encoding("zstd", 90), overwrite=True)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "zstd", "deflate", "none"])
def test_the_estimate_is_not_below_real_tissue(
    tmp_path: Path, finished_slide: OutputSlide, data_root: Path, compression: str
) -> None:
    import openslide

    with openslide.OpenSlide(data_root / "wsi/aperio/TCGA-CR-7395-01A-01-TS1.svs") as slide:
        pixels = np.asarray(slide.read_region((1500, 1200), 0, (512, 512)).convert("RGB"))
    tissue = replace(
        finished_slide,
        size_xy=(512, 512),
        read=lambda xy, wh: pixels[xy[1] : xy[1] + wh[1], xy[0] : xy[0] + wh[0]],
        associated={},
    )
    target, encoding = tmp_path / "x.ome.tiff", Encoding(compression, 90)
    write_slide(target, tissue, encoding, tmp_path, overwrite=False)
    ratio = estimate_bytes((512, 512), encoding) / target.stat().st_size
    assert 1 < ratio < 4
