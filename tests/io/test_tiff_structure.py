"""Which images of a TIFF file are the slide, its levels and its associated images."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pytest
import tifffile

from histoscale.errors import InputError
from histoscale.io.formats import describe, open_slide, read
from histoscale.io.tiff_structure import MOST_IMAGES, count_images

RGB = np.random.default_rng(0).integers(0, 256, (203, 301, 3), np.uint8)
MACRO = RGB[:60, :90].copy()
AsFile: TypeAlias = Callable[[bytes], BinaryIO]


def write(path: Path, *images: tuple[np.ndarray, str, float | None], **options: Any) -> Path:
    """An OME-TIFF file of several images, each with its name and mpp."""
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for pixels, name, mpp in images:
            sizes = {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp} if mpp else {}
            metadata = {"axes": "YXS", "Name": name, **sizes}
            tiff.write(pixels, photometric="rgb", metadata=metadata, **options)
    return path


def test_the_scan_is_the_slide_though_the_macro_is_first(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ome.tif", (MACRO, "macro", 16), (RGB, "scan", 0.5))
    found = describe(path)
    assert (found.size_xy, found.mpp, found.associated) == ((301, 203), (0.5, 0.5), ("macro",))
    assert "'scan'" in found.notes[0]
    assert "'macro'" in found.notes[0]
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_region(0, (0, 0), (301, 203)), RGB)
        assert np.array_equal(slide.associated_image("macro"), MACRO)


def test_the_scan_of_a_case_is_the_slide(cases: Path) -> None:
    found = describe(cases / "slides" / "macro_first.ome.tif")
    assert (found.size_xy, found.mpp, found.associated) == ((1300, 1000), (0.5, 0.5), ("macro",))
    with tifffile.TiffFile(cases / "slides" / "macro_first.ome.tif") as tiff:
        assert np.array_equal(read(cases / "slides" / "macro_first.ome.tif").colour, tiff.series[1].asarray())


def test_the_objective_is_that_of_the_slide(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ome.tif", (MACRO, "macro", 16), (RGB, "scan", 0.5))
    xml = tifffile.tiffcomment(path)
    objectives = "".join(f'<Objective ID="O:{power}" NominalMagnification="{power}"/>' for power in (1, 20))
    for name, power in (("macro", 1), ("scan", 20)):
        head = f'Name="{name}">'
        xml = xml.replace(head, f'{head}<ObjectiveSettings ID="O:{power}"/>')
    xml = xml.replace("<Image", f'<Instrument ID="I">{objectives}</Instrument><Image', 1)
    tifffile.tiffcomment(path, xml.encode())
    assert describe(path).power == 20


def test_a_second_slide_is_named_and_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoscale.io.tiff_structure.MOST_ASSOCIATED_PX", 10_000)
    second = RGB[:150].copy()
    path = write(tmp_path / "x.ome.tif", (RGB, "one", 0.5), (second, "two", 0.5), (MACRO, "macro", 16))
    found = describe(path)
    assert (found.size_xy, found.associated) == ((301, 203), ("macro",))
    assert "'two' (301 x 150 px)" in found.notes[0]
    assert "macro" not in found.notes[0]


def test_associated_images_of_one_name_are_all_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ome.tif", (RGB, "scan", None), (MACRO, "a", None), (MACRO, "a", None))
    names = describe(path).associated
    assert len(set(names)) == 2


def test_a_thumbnail_before_the_slide(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as tiff:
        for pixels in (RGB[:20, :60], RGB, RGB[::2, ::2]):
            tiff.write(pixels, photometric="rgb", metadata=None)
    found = describe(path)
    assert found.levels_xy == ((301, 203), (151, 102))
    assert "(60 x 20 px)" in found.notes[0]
    assert np.array_equal(read(path).colour, RGB)


def test_pages_of_about_the_same_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as tiff:
        for pixels in (RGB, RGB[:150]):
            tiff.write(pixels, photometric="rgb", metadata=None)
    with pytest.raises(InputError, match="holds 2 pages"):
        read(path)


def linked(images: int, big: bool = False, subifds: int = 0) -> bytes:
    """A TIFF file of images without pixels, each in a list of the next."""
    entry = struct.pack("<HHQQ", 330, 16, subifds, 8) if big else struct.pack("<HHII", 330, 4, subifds, 8)
    start = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) if big else b"II*\0" + struct.pack("<I", 8)
    count, end = ("<Q", "<Q") if big else ("<H", "<I")
    size = struct.calcsize(count) + len(entry) + struct.calcsize(end)
    parts = [start]
    for number in range(1, images + 1):
        following = len(start) + number * size if number < images else 0
        parts.append(struct.pack(count, 1) + entry + struct.pack(end, following))
    return b"".join(parts)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("images", "subifds", "found"), [(1, 0, 1), (7, 0, 7), (2, 5, 12)])
def test_images_are_counted(as_file: AsFile, big: bool, images: int, subifds: int, found: int) -> None:
    assert count_images(as_file(linked(images, big, subifds))) == found


@pytest.mark.parametrize("content", [b"II*\0", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08\0\x05", linked(5)[:60]])
def test_counting_ends_with_a_file_that_is_cut_off(as_file: AsFile, content: bytes) -> None:
    assert count_images(as_file(content)) <= 5


def test_counting_ends_in_a_circle(as_file: AsFile) -> None:
    circle = bytearray(linked(2))
    circle[-4:] = struct.pack("<I", 8)
    assert count_images(as_file(bytes(circle))) == MOST_IMAGES + 1


@pytest.mark.parametrize(("images", "subifds"), [(MOST_IMAGES + 1, 0), (1, MOST_IMAGES)])
def test_a_million_images_are_not_supported(tmp_path: Path, images: int, subifds: int) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(linked(images, subifds=subifds))
    with pytest.raises(InputError, match=r"x\.tif is not supported: .*2000 images"):
        describe(path)


@pytest.mark.parametrize("axis", ["SizeZ", "SizeT", "SizeC"])
def test_a_number_of_planes_beyond_the_file_is_refused_before_they_are_listed(
    tmp_path: Path, axis: str
) -> None:
    path = write(tmp_path / "x.ome.tif", (RGB, "scan", None))
    xml = tifffile.tiffcomment(path)
    before = 'SizeC="3"' if axis == "SizeC" else f'{axis}="1"'
    tifffile.tiffcomment(path, xml.replace(before, f'{axis}="200000000"').encode())
    with pytest.raises(InputError, match=r"x\.ome\.tif is not supported: .*planes"):
        describe(path)
