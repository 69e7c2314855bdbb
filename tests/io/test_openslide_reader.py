"""Real slides through OpenSlide."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from histoscale.errors import InputError
from histoscale.io.annotations import read_roi
from histoscale.io.formats import describe, open_slide, read

REAL = [
    "aperio/CMU-1-Small-Region.svs",
    "aperio/TCGA-CR-7395-01A-01-TS1.svs",
    "dicom/multiframe_camelyon_challenge_image.dcm",
]


@pytest.mark.parametrize("name", [REAL[0], REAL[2]])
def test_regions_are_slices_of_the_whole(data_root: Path, name: str) -> None:
    path = data_root / "wsi" / name
    whole = read(path).colour
    with open_slide(path) as slide:
        width, height = slide.levels_xy[0]
        assert whole.shape == (height, width, 3)
        for x, y, w, h in [(0, 0, 100, 50), (301, 203, 257, 311), (width - 33, height - 21, 33, 21)]:
            assert np.array_equal(slide.read_region(0, (x, y), (w, h)), whole[y : y + h, x : x + w])


def test_a_pixel_of_a_reduced_level_is_the_same_in_every_rectangle(data_root: Path) -> None:
    with open_slide(data_root / "wsi" / REAL[1]) as slide:
        assert slide.levels_xy[1] == (2221, 1783)
        part = slide.read_region(1, (1021, 1000), (1200, 783))
        for x, y, w, h in [(0, 0, 5, 5), (2, 20, 30, 20), (3, 0, 1, 783), (555, 444, 645, 339)]:
            found = slide.read_region(1, (1021 + x, 1000 + y), (w, h))
            assert np.array_equal(found, part[y : y + h, x : x + w])


@pytest.mark.parametrize(
    ("level", "xy", "size"),
    [
        (0, (0, 0), (0, 5)),
        (0, (2200, 0), (21, 5)),
        (0, (-1, 0), (5, 5)),
        (0, (0, 2967), (5, 1)),
        (-1, (0, 0), (5, 5)),
        (1, (0, 0), (5, 5)),
    ],
)
def test_beyond_the_level(data_root: Path, level: int, xy: tuple[int, int], size: tuple[int, int]) -> None:
    with (
        open_slide(data_root / "wsi" / REAL[0]) as slide,
        pytest.raises(InputError, match=r"outside the level|has no level"),
    ):
        slide.read_region(level, xy, size)


def test_associated_images(data_root: Path) -> None:
    with open_slide(data_root / "wsi" / REAL[0]) as slide:
        assert slide.associated_image("thumbnail").shape == (768, 574, 3)
        with pytest.raises(InputError, match="no associated image 'back'"):
            slide.associated_image("back")


@pytest.fixture
def damaged(data_root: Path, tmp_path: Path) -> Path:
    """A slide with a hole in the bytes of one tile of 240 x 240 px at (960, 720)."""
    original, path = data_root / "wsi" / REAL[0], tmp_path / "x.svs"
    with tifffile.TiffFile(original) as tiff:
        start = tiff.pages.first.dataoffsets[3 * 10 + 4] + 200
    content = bytearray(original.read_bytes())
    content[start : start + 60] = bytes(60)
    path.write_bytes(content)
    return path


def test_a_damaged_tile_is_named_and_disturbs_no_other(data_root: Path, damaged: Path) -> None:
    original = data_root / "wsi" / REAL[0]
    with open_slide(original) as sound, open_slide(damaged) as slide:
        with pytest.raises(InputError, match=r"in 9 x 9 px at \(960, 720\) of level 0: ") as damage:
            slide.read_region(0, (960, 720), (9, 9))
        assert str(damage.value).count(". ") == 0
        elsewhere = 0, (0, 0), (960, 2967)
        assert np.array_equal(slide.read_region(*elsewhere), sound.read_region(*elsewhere))


def test_a_thread_in_a_damaged_tile_disturbs_no_other(damaged: Path) -> None:
    def read_or_not(xy: tuple[int, int]) -> bool:
        try:
            return bool(slide.read_region(0, xy, (100, 100)).any())
        except InputError:
            return False

    places = [(x, y) for x in range(0, 1680, 240) for y in range(0, 1680, 240)] * 5
    with open_slide(damaged) as slide, ThreadPoolExecutor(8) as pool:
        done = pool.map(read_or_not, places)
        assert [xy for xy, is_sound in zip(places, done, strict=True) if not is_sound] == [(960, 720)] * 5


@pytest.mark.parametrize("kept", [0.1, 0.5])
@pytest.mark.parametrize("name", REAL)
def test_a_truncated_slide(data_root: Path, tmp_path: Path, name: str, kept: float) -> None:
    content = (data_root / "wsi" / name).read_bytes()
    path = tmp_path / Path(name).name
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=f"{path.name} is ") as refused, open_slide(path) as slide:  # noqa: PT012
        for level, size_xy in enumerate(slide.levels_xy):
            slide.read_region(level, (0, 0), size_xy)
    assert str(refused.value).count(". ") == 0


def test_threads_read_at_the_same_time(data_root: Path) -> None:
    path = data_root / "wsi" / REAL[2]
    whole = read(path).colour
    places = [(x, y) for x in range(0, 1000, 100) for y in range(0, 600, 100)]
    with open_slide(path) as slide, ThreadPoolExecutor(4) as pool:
        regions = pool.map(lambda xy: slide.read_region(0, xy, (120, 90)), places)
        for (x, y), found in zip(places, regions, strict=True):
            assert np.array_equal(found, whole[y : y + 90, x : x + 120])


@pytest.fixture
def aperio(data_root: Path) -> Path:
    return data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs"


def test_an_aperio_slide_describes_itself(aperio: Path) -> None:
    found = describe(aperio)
    assert found.format == "Aperio slide"
    assert found.size_xy == (2220, 2967)
    assert found.mpp == (0.499, 0.499)
    assert found.power == 20
    assert found.compression == "jpeg"
    assert set(found.associated) == {"label", "macro", "thumbnail"}


def test_levels_and_profile(data_root: Path) -> None:
    found = describe(data_root / "wsi" / "aperio" / "TCGA-CR-7395-01A-01-TS1.svs")
    assert found.levels_xy == ((4443, 3567), (2221, 1783))
    assert (found.mpp, found.power) == (None, None)
    assert len(found.icc_profile or b"") == 3144


def test_dicom(data_root: Path) -> None:
    found = describe(data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm")
    assert (found.format, found.size_xy, found.compression) == ("DICOM slide", (1152, 700), "jpeg")
    assert found.mpp == pytest.approx((28.969, 28.968))


def test_level_zero_is_read_whole(aperio: Path) -> None:
    image = read(aperio)
    assert image.colour.shape == (2967, 2220, 3)
    with openslide.OpenSlide(aperio) as slide:
        region = np.asarray(slide.read_region((700, 900), 0, (300, 400)).convert("RGB"))
    assert np.array_equal(image.colour[900:1300, 700:1000], region)


def test_a_slide_beyond_memory_is_refused(aperio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.resources.available_bytes", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"2220 x 2967 px are too large .* 977 KiB"):
        read(aperio)


def test_a_truncated_slide_slide_reader(aperio: Path, tmp_path: Path) -> None:
    cut = tmp_path / "x.svs"
    cut.write_bytes(aperio.read_bytes()[:200_000])
    with pytest.raises(InputError, match=r"x\.svs is "):
        read(cut)


def test_the_bounds_that_a_scanner_states(cases: Path) -> None:
    path = cases / "slides" / "bounds.scn"
    found = describe(path)
    with openslide.OpenSlide(path) as slide:
        properties = dict(slide.properties)
        assert found.size_xy == slide.dimensions
    expected = [int(properties[f"openslide.bounds-{side}"]) for side in ("x", "y", "width", "height")]
    assert [*found.bounds_xy, *(found.bounds_size_xy or ())] == expected
    assert min(found.bounds_xy) > 0


def test_a_region_of_qupath_is_tissue(cases: Path) -> None:
    path = cases / "slides" / "bounds.scn"
    with open_slide(path) as slide:
        roi = read_roi(cases / "roi" / "fc.geojson", slide.description)
        assert slide.read_region(0, *roi.rectangle).mean() < 230
        assert slide.read_region(0, (100, 100), (200, 200)).mean() == 255


def test_slides_without_bounds(data_root: Path) -> None:
    found = describe(data_root / "wsi" / REAL[0])
    assert (found.bounds_xy, found.bounds_size_xy) == ((0, 0), None)
