"""OME-TIFF pyramids as tifffile, OpenSlide and our own reader see them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from histoscale.errors import OutputError
from histoscale.io.formats import describe
from histoscale.io.writers import ome_tiff
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import write_slide
from histoscale.io.writers.ome_tiff import needs_big_tiff

SIZES = ((2101, 1301), (1051, 651), (526, 326))
SHAPES = [(height, width, 3) for width, height in SIZES]


def written(folder: Path, slide: OutputSlide, encoding: Encoding) -> Path:
    target = folder / "x.ome.tiff"
    write_slide(target, slide, encoding, folder / "scratch", overwrite=False)
    assert sorted(path.name for path in folder.iterdir()) == ["scratch", "x.ome.tiff"]
    return target


@pytest.fixture(params=[False, True], ids=["classic", "big"])
def is_big(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the slide counts as too large for a classic TIFF file."""
    monkeypatch.setattr(ome_tiff, "CLASSIC_BYTES", 0 if request.param else 2**31)
    return request.param


@pytest.mark.parametrize("layout", ["ome", "both"])
def test_tifffile_finds_levels_below_the_image(
    tmp_path: Path,
    finished_slide: OutputSlide,
    finished_levels: list[np.ndarray],
    layout: str,
    is_big: bool,
) -> None:
    target = written(tmp_path, finished_slide, Encoding("deflate", 90, layout=layout))
    with tifffile.TiffFile(target) as tiff:
        assert (tiff.is_bigtiff, bool(tiff.is_ome)) == (is_big, True)
        assert [series.name for series in tiff.series] == ["a & b.svs", "label", "macro"]
        assert [level.shape for level in tiff.series[0].levels] == SHAPES
        for number, level in enumerate(tiff.series[0].levels):
            assert np.array_equal(level.asarray(), finished_levels[number])
        assert np.array_equal(tiff.series[1].asarray(), finished_slide.associated["label"])
        assert len(tiff.pages) == (3 if layout == "ome" else 5)


@pytest.mark.parametrize("layout", ["openslide", "both"])
def test_openslide_finds_levels_and_micrometres(
    tmp_path: Path,
    finished_slide: OutputSlide,
    finished_levels: list[np.ndarray],
    layout: str,
    is_big: bool,
) -> None:
    target = written(tmp_path, finished_slide, Encoding("zstd", 90, layout=layout))
    with openslide.OpenSlide(target) as slide:
        assert slide.level_dimensions == SIZES
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.2600001, rel=1e-6)
        assert slide.color_profile is not None
        for level, size_xy in enumerate(SIZES):
            found = np.asarray(slide.read_region((0, 0), level, size_xy).convert("RGB"))
            assert np.array_equal(found, finished_levels[level])


def test_openslide_sees_one_level_in_the_standard_layout(tmp_path: Path, finished_slide: OutputSlide) -> None:
    """Why there is a choice."""
    with openslide.OpenSlide(written(tmp_path, finished_slide, Encoding("jpeg", 90))) as slide:
        assert slide.level_dimensions == SIZES[:1]


@pytest.mark.parametrize("layout", ["ome", "openslide", "both"])
def test_every_level_has_its_resolution(tmp_path: Path, finished_slide: OutputSlide, layout: str) -> None:
    encoding = Encoding("jpeg", 90, layout=layout)
    with tifffile.TiffFile(written(tmp_path, finished_slide, encoding)) as tiff:
        pages = ome_tiff.level_pages(tiff, encoding)
        found = [page.get_resolution("micrometer") for page in pages]
    assert found == [pytest.approx((1 / (0.25 * n), 1 / (0.2600001 * n)), rel=1e-6) for n in (1, 2, 4)]


@pytest.mark.parametrize("layout", ["ome", "openslide", "both"])
@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "zstd", "deflate", "none"])
def test_our_reader_knows_its_own(
    tmp_path: Path, finished_slide: OutputSlide, layout: str, compression: str
) -> None:
    if compression == "jpeg2000" and layout != "ome":
        pytest.skip("refused")
    small = replace(finished_slide, size_xy=(600, 500))
    found = describe(written(tmp_path, small, Encoding(compression, 90, layout=layout)))
    assert (found.size_xy, found.mpp, found.power) == ((600, 500), (0.25, 0.2600001), 40)
    assert found.provenance is not None
    assert found.provenance["note"] == "super-resolved, not for primary diagnosis"
    assert found.icc_profile == finished_slide.icc_profile
    assert found.associated == ("label", "macro")
    assert (found.compression, found.refusal) == (compression, None)


@pytest.mark.parametrize(("compression", "worst"), [("jpeg", 1.5), ("jpeg2000", 3)])
def test_lossy_compressions_stay_close(
    tmp_path: Path, finished_slide: OutputSlide, finished_pixels: np.ndarray, compression: str, worst: float
) -> None:
    small = replace(finished_slide, size_xy=(600, 500))
    found = tifffile.imread(written(tmp_path, small, Encoding(compression, 90)))
    assert np.abs(found.astype(int) - finished_pixels[:500, :600]).mean() < worst


def test_jpeg_2000_at_100_is_lossless(
    tmp_path: Path, finished_slide: OutputSlide, finished_pixels: np.ndarray
) -> None:
    small = replace(finished_slide, size_xy=(300, 200))
    found = tifffile.imread(written(tmp_path, small, Encoding("jpeg2000", quality=100)))
    assert np.array_equal(found, finished_pixels[:200, :300])


def test_quality_counts(tmp_path: Path, finished_slide: OutputSlide) -> None:
    sizes = []
    for quality in (30, 95):
        folder = tmp_path / str(quality)
        sizes.append(written(folder, finished_slide, Encoding("jpeg", quality=quality)).stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("quality", "photometric", "sampling"),
    [(90, "YCBCR", (2, 2)), (94, "YCBCR", (2, 2)), (95, "RGB", (1, 1))],
)
def test_jpeg_is_what_bio_formats_shows_rightly(
    tmp_path: Path, finished_slide: OutputSlide, quality: int, photometric: str, sampling: tuple[int, int]
) -> None:
    """It takes YCbCr without subsampling for RGB."""
    with tifffile.TiffFile(written(tmp_path, finished_slide, Encoding("jpeg", quality=quality))) as tiff:
        page = tiff.pages.first
        assert (page.photometric.name, page.tags.valueof("YCbCrSubSampling")) == (photometric, sampling)


@pytest.mark.parametrize(("quality", "worst"), [(90, 30), (95, 4)])
def test_openslide_shows_the_colours_of_jpeg(
    tmp_path: Path, finished_slide: OutputSlide, quality: int, worst: int
) -> None:
    """Stripes of two colours of equal lightness: what halved colour density shows worst."""

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        stripes = np.tile(np.uint8([[220, 150, 190], [150, 200, 150]]), (1, size_xy[0] // 2 + 1, 1))
        return np.broadcast_to(stripes[:, : size_xy[0]], (size_xy[1], size_xy[0], 3)).copy()

    slide = replace(finished_slide, size_xy=(512, 512), read=read)
    target = written(tmp_path, slide, Encoding("jpeg", quality=quality, layout="both"))
    with openslide.OpenSlide(target) as opened:
        found = np.asarray(opened.read_region((0, 0), 0, (512, 512)).convert("RGB")).astype(int)
    error = np.abs(found - read((0, 0), (512, 512))).mean()
    assert error < worst


def test_edges_do_not_ring(tmp_path: Path, finished_slide: OutputSlide) -> None:
    """A white slide stays white to its last pixel, though its tiles reach beyond."""

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        return np.full((size_xy[1], size_xy[0], 3), 255, np.uint8)

    white = replace(finished_slide, size_xy=(601, 509), read=read)
    assert tifffile.imread(written(tmp_path, white, Encoding("jpeg", quality=50))).min() == 255


def test_unknown_micrometres_stay_unknown(tmp_path: Path, finished_slide: OutputSlide) -> None:
    record = replace(finished_slide.provenance, mpp=None, power=None)
    slide = replace(finished_slide, mpp=None, power=None, icc_profile=None, provenance=record, associated={})
    target = written(tmp_path, slide, Encoding("jpeg", 90, layout="both"))
    found = describe(target)
    assert (found.mpp, found.power, found.icc_profile, found.associated) == (None, None, None, ())
    with openslide.OpenSlide(target) as opened:
        assert "openslide.mpp-x" not in opened.properties


@pytest.mark.parametrize("layout", ["ome", "openslide", "both"])
def test_one_pixel(tmp_path: Path, finished_slide: OutputSlide, layout: str) -> None:
    small = replace(finished_slide, size_xy=(1, 1))
    assert describe(written(tmp_path, small, Encoding("jpeg", 90, layout=layout))).size_xy == (1, 1)


def test_the_same_slide_gives_the_same_bytes(tmp_path: Path, finished_slide: OutputSlide) -> None:
    first, second = (written(tmp_path / name, finished_slide, Encoding("jpeg", 90)) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("layout", ["openslide", "both"])
def test_what_openslide_cannot_decode_is_refused(
    tmp_path: Path, finished_slide: OutputSlide, layout: str
) -> None:
    with pytest.raises(OutputError, match=r"x\.ome\.tiff.*jpeg2000.*--layout ome"):
        written(tmp_path, finished_slide, Encoding("jpeg2000", 90, layout=layout))
    assert list(tmp_path.iterdir()) == []


def test_big_tiff_begins_below_two_gigabytes() -> None:
    assert not needs_big_tiff((20_000, 30_000))
    assert needs_big_tiff((30_000, 30_000))


def test_a_file_that_reads_otherwise_is_not_kept(
    tmp_path: Path, finished_slide: OutputSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ome_tiff, "full_tile", lambda tile, side: np.zeros((side, side, 3), np.uint8))
    with pytest.raises(OutputError, match=r"x\.ome\.tiff failed verification .* tile at \(0, 0\) of level 0"):
        written(tmp_path, finished_slide, Encoding("jpeg", 90))
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_a_broken_chain_is_found(
    tmp_path: Path, finished_slide: OutputSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ome_tiff, "chain_pages", lambda path: None)
    with pytest.raises(OutputError, match="levels in OpenSlide"):
        written(tmp_path, finished_slide, Encoding("jpeg", 90, layout="both"))


def test_a_truncated_file_is_found(
    tmp_path: Path, finished_slide: OutputSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def truncate(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1_000_000)

    monkeypatch.setattr(ome_tiff, "chain_pages", truncate)
    with pytest.raises(OutputError, match="failed verification"):
        written(tmp_path, finished_slide, Encoding("none", 90, layout="both"))
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
