"""TIFF and OME-TIFF as slides: regions, levels, metadata and refusals."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from histoscale.errors import InputError
from histoscale.io.formats import describe, open_slide, read
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Mpp
from histoscale.io.tiff_reader import TiffSlide
from histoscale.io.writers.base import Encoding, Layout, OutputSlide
from histoscale.io.writers.formats import write_slide

PROFILE = bytes(16) + b"RGB " + bytes(108)
"""The header of an ICC profile of RGB."""
RGB = np.random.default_rng(0).integers(0, 256, (203, 301, 3), np.uint8)
GREY = RGB[..., :1].copy()
RECTANGLES = [(0, 0, 301, 203), (5, 7, 1, 1), (60, 50, 70, 90), (290, 190, 11, 13)]


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **({"metadata": None, "photometric": "rgb"} | options))
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">", "compression": "lzw", "predictor": True},
        {"tile": (64, 48)},
        {"tile": (64, 48), "compression": "deflate", "bigtiff": True},
        {"compression": "zstd", "rowsperstrip": 10},
        {"compression": "deflate", "rowsperstrip": 203},
        {"tile": (64, 64), "compression": "jpeg2000", "compressionargs": {"level": 0}},
        {"tile": (64, 64), "byteorder": ">", "compression": "deflate", "predictor": True},
    ],
)
def test_regions_are_slices_of_the_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    with open_slide(save(tmp_path / "x.tif", RGB, **options)) as slide:
        assert isinstance(slide, TiffSlide)
        for x, y, w, h in RECTANGLES:
            assert np.array_equal(slide.read_region(0, (x, y), (w, h)), RGB[y : y + h, x : x + w])


def test_separate_planes(tmp_path: Path) -> None:
    planes = np.moveaxis(RGB, -1, 0).copy()
    options = {"planarconfig": "separate", "tile": (64, 48), "compression": "deflate"}
    with open_slide(save(tmp_path / "x.tif", planes, **options)) as slide:
        assert np.array_equal(slide.read_region(0, (60, 50), (70, 90)), RGB[50:140, 60:130])


@pytest.mark.parametrize("options", [{}, {"tile": (64, 64), "compression": "deflate"}])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_becomes_three_channels(tmp_path: Path, photometric: str, options: dict[str, Any]) -> None:
    path = save(tmp_path / "x.tif", GREY[..., 0].copy(), photometric=photometric, **options)
    shown = GREY if photometric == "minisblack" else 255 - GREY
    with open_slide(path) as slide:
        found = slide.read_region(0, (60, 50), (70, 90))
    assert np.array_equal(found, shown[50:140, 60:130].repeat(3, axis=2))


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_what_is_transparent_is_white(tmp_path: Path, kind: str) -> None:
    alpha = np.where(GREY > 99, 255, 0).astype(np.uint8)
    colour = RGB if kind == "unassalpha" else np.where(alpha > 0, RGB, 0).astype(np.uint8)
    rgba = np.concatenate([colour, alpha], axis=2)
    with open_slide(save(tmp_path / "x.tif", rgba, extrasamples=[kind], tile=(64, 64))) as slide:
        assert isinstance(slide, TiffSlide)
        found = slide.read_region(0, (0, 0), (301, 203))
    assert np.array_equal(found, np.where(alpha > 0, RGB, 255))


def pyramid(path: Path, layout: str, sizes: tuple[int, ...] = (1, 2, 4), **options: Any) -> Path:
    """Levels by leaving out pixels: in SubIFDs, in flagged pages, or in pages without a flag."""
    options = {"tile": (64, 64), "compression": "deflate", "photometric": "rgb"} | options
    is_ome = layout.startswith("ome")
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5} if is_ome else None
    subifds = len(sizes) - 1 if layout.endswith("subifds") else 0
    with tifffile.TiffWriter(path, ome=is_ome) as tiff:
        for step in sizes:
            reduced = int(step > 1 and layout != "pages")
            first = {"metadata": metadata, "subifds": subifds} if step == 1 else {"metadata": None}
            tiff.write(RGB[::step, ::step], subfiletype=reduced, **first, **options)
        if is_ome:
            tiff.write(RGB[:50, :70], photometric="rgb", metadata={"axes": "YXS", "Name": "label"})
    return path


@pytest.mark.parametrize("layout", ["ome subifds", "ome flagged", "subifds", "flagged", "pages"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_levels(tmp_path: Path, layout: str, byteorder: str) -> None:
    path = tmp_path / "x.ome.tif"
    path = pyramid(path, layout) if byteorder == "<" else pyramid(path, layout, tile=None, compression=None)
    with open_slide(path) as slide:
        assert slide.levels_xy == ((301, 203), (151, 102), (76, 51))
        for level, step in enumerate((1, 2, 4)):
            whole = RGB[::step, ::step]
            assert np.array_equal(slide.read_region(level, (0, 0), slide.levels_xy[level]), whole)
            assert np.array_equal(slide.read_region(level, (9, 8), (60, 40)), whole[8:48, 9:69])
    assert describe(path) == slide.description


def test_associated_images_of_an_ome_file(tmp_path: Path) -> None:
    with open_slide(pyramid(tmp_path / "x.ome.tif", "ome subifds")) as slide:
        assert slide.description.associated == ("label",)
        assert np.array_equal(slide.associated_image("label"), RGB[:50, :70])
        with pytest.raises(InputError, match="no associated image 'macro'"):
            slide.associated_image("macro")


@pytest.mark.parametrize("layout", ["ome", "openslide", "both"])
def test_what_we_write_is_read(tmp_path: Path, layout: Layout) -> None:
    record = Provenance("0.1.0", SUPER_RESOLVED, "a.svs", (4.0, 4.0), Mpp(0.25, 0.25), 40.0)
    whole, label = np.tile(RGB, (4, 4, 1)), RGB[:50, :70].copy()
    slide = OutputSlide(
        size_xy=(1204, 812),
        read=lambda xy, size: whole[xy[1] : xy[1] + size[1], xy[0] : xy[0] + size[0]],
        provenance=record,
        mpp=Mpp(0.25, 0.25),
        power=40.0,
        icc_profile=PROFILE,
        associated={"label": label},
    )
    encoding = Encoding("deflate", 90, layout=layout, tile_px=256)
    write_slide(tmp_path / "x.ome.tiff", slide, encoding, tmp_path, overwrite=False)
    with open_slide(tmp_path / "x.ome.tiff") as written:
        found = written.description
        assert np.array_equal(written.read_region(0, (9, 8), (600, 400)), whole[8:408, 9:609])
        assert np.array_equal(written.associated_image("label"), label)
        assert written.read_region(1, (600, 404), (2, 2)).shape == (2, 2, 3)
    assert found.levels_xy[:2] == ((1204, 812), (602, 406))
    assert (found.mpp, found.power, found.icc_profile) == ((0.25, 0.25), 40, PROFILE)
    assert (found.associated, found.notes, found.refusal) == (("label",), (), None)
    assert (found.provenance or {})["note"] == SUPER_RESOLVED


def test_a_level_that_suits(tmp_path: Path) -> None:
    with open_slide(pyramid(tmp_path / "x.tif", "flagged")) as slide:
        assert [slide.best_level(d) for d in (0.5, 1, 1.9, 1.99, 2, 3.9, 4, 100)] == [0, 0, 0, 1, 1, 1, 2, 2]
        assert slide.downsample_xy(2) == (301 / 76, 203 / 51)


def test_rarer_kinds_are_held_in_memory(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB.astype(np.uint16) * 257, tile=(64, 64))
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_region(0, (9, 8), (60, 40)), RGB[8:48, 9:69])


def test_an_image_compressed_in_one_piece_is_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.tif", RGB, compression="deflate", rowsperstrip=203)
    monkeypatch.setattr("histoscale.io.tiff_page.CACHE_BYTES", 3 * 301 * 203 - 1)
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_region(0, (9, 8), (60, 40)), RGB[8:48, 9:69])


def test_all_levels_of_the_rarer_kinds_are_read(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 257
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(deep, photometric="rgb", metadata=None, subifds=1)
        tiff.write(deep[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    with open_slide(tmp_path / "x.tif") as slide:
        assert slide.levels_xy == ((301, 203), (151, 102))
        assert np.array_equal(slide.read_region(1, (9, 8), (60, 40)), RGB[::2, ::2][8:48, 9:69])


def test_a_refused_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 5 pages"):
        open_slide(save(tmp_path / "x.tif", np.zeros((5, 40, 64, 3), np.uint8)))


def test_only_tiles_under_the_rectangle_are_read(tmp_path: Path) -> None:
    """All other tiles are overwritten with zeros, which their decoder refuses."""
    path, tile = tmp_path / "x.tif", RGB[:64, :64].copy()
    options = {"tile": (64, 64), "compression": "deflate", "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, (tile for _ in range(32 * 32)), shape=(2048, 2048, 3), dtype="u1", **options)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        places = [*zip(page.dataoffsets, page.databytecounts, strict=True)]
    content = bytearray(path.read_bytes())
    wanted = {row * 32 + column for row in (10, 11) for column in (20, 21)}
    for number, (offset, length) in enumerate(places):
        if number not in wanted:
            content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    with open_slide(path) as slide:
        found = slide.read_region(0, (1280, 640), (128, 128))
        assert np.array_equal(found, np.tile(tile, (2, 2, 1)))
        with pytest.raises(InputError, match=r"in 129 x 128 px at \(1280, 640\) of level 0: ") as damage:
            slide.read_region(0, (1280, 640), (129, 128))
        assert str(damage.value).count(". ") == 0
        assert np.array_equal(slide.read_region(0, (1280, 640), (128, 128)), found)


@pytest.mark.parametrize("edit", ["zeros", "end"])
def test_a_damaged_jpeg_tile_is_not_filled_up_with_grey(tmp_path: Path, edit: str) -> None:
    path = save(tmp_path / "x.tif", np.tile(RGB, (2, 2, 1)), tile=(128, 128), compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        start, length = tiff.pages.first.dataoffsets[4], tiff.pages.first.databytecounts[4]
    content = bytearray(path.read_bytes())
    first = start if edit == "zeros" else start + length // 2
    content[first : start + length] = bytes(start + length - first)
    path.write_bytes(content)
    with open_slide(path) as slide:
        slide.read_region(0, (0, 0), (128, 128))
        with pytest.raises(InputError, match="of level 0: "):
            slide.read_region(0, (500, 10), (50, 50))


def test_tiles_that_are_left_out_are_white(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tiles = iter([RGB[:64, :64].copy(), None, RGB[64:128, 64:128].copy(), None])
    options = {"tile": (64, 64), "photometric": "rgb", "compression": "deflate", "metadata": None}
    tifffile.imwrite(path, tiles, shape=(128, 128, 3), dtype="u1", **options)
    with open_slide(path) as slide:
        found = slide.read_region(0, (0, 0), (128, 128))
    assert np.array_equal(found[:64, :64], RGB[:64, :64])
    assert (found[:64, 64:] == 255).all()


@pytest.mark.parametrize("compression", [None, "deflate", "jpeg"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_truncated_file(tmp_path: Path, compression: str | None, kept: float) -> None:
    path = save(tmp_path / "x.tif", np.tile(RGB, (3, 3, 1)), compression=compression, tile=(64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"x\.tif is ") as refused:
        open_slide(path)
    assert str(refused.value).count(". ") == 0


def test_threads_read_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.io.tiff_page.CACHE_BYTES", 30_000)
    places = [(x, y) for x in range(0, 240, 20) for y in range(0, 150, 15)] * 3
    with open_slide(pyramid(tmp_path / "x.tif", "subifds")) as slide, ThreadPoolExecutor(8) as pool:
        regions = pool.map(lambda xy: slide.read_region(0, xy, (50, 50)), places)
        for (x, y), found in zip(places, regions, strict=True):
            assert np.array_equal(found, RGB[y : y + 50, x : x + 50])


def test_what_is_kept_of_decoded_tiles_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.io.tiff_page.CACHE_BYTES", 30_000)
    with open_slide(pyramid(tmp_path / "x.tif", "subifds")) as slide:
        assert isinstance(slide, TiffSlide)
        slide.read_region(0, (0, 0), (301, 203))
        assert 0 < slide._chunks.held_bytes <= 30_000


def test_neighbours_share_decoded_tiles(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, compression="deflate", rowsperstrip=203)
    with open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)
        first = slide.read_region(0, (0, 0), (50, 50))
        slide._tiff.filehandle.close()
        assert np.array_equal(slide.read_region(0, (0, 0), (50, 50)), first)


def test_the_whole_image_is_the_same_as_level_zero(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, tile=(64, 64), compression="jpeg", subsampling=(2, 2))
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_region(0, (0, 0), (301, 203)), read(path).colour)


# Whole files of every kind: read, or refused in one sentence.


SMALL = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
SMALL_GREY = SMALL[..., 0].copy()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate", "predictor": True},
        {"compression": "lzw", "tile": (16, 16)},
        {"bigtiff": True},
        {"byteorder": ">"},
    ],
)
def test_rgb_comes_back_exactly(tmp_path: Path, options: dict[str, Any]) -> None:
    path = save(tmp_path / "x.tif", SMALL, photometric="rgb", **options)
    image = read(path)
    assert np.array_equal(image.colour, SMALL)
    assert describe(path).format == "TIFF"
    assert describe(path).size_xy == (64, 40)


def test_separate_planes_whole(tmp_path: Path) -> None:
    planes = np.moveaxis(SMALL, -1, 0).copy()
    path = save(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(path).colour, SMALL)


def test_jpeg_in_tiff_is_rgb(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.array([200, 120, 160], np.uint8), (64, 64, 3)).copy()
    path = save(tmp_path / "x.tif", smooth, photometric="rgb", compression="jpeg")
    assert abs(read(path).colour.astype(int) - smooth).max() <= 3
    assert describe(path).compression == "jpeg"


def test_white_is_zero(tmp_path: Path) -> None:
    image = read(save(tmp_path / "x.tif", SMALL_GREY, photometric="miniswhite"))
    assert np.array_equal(image.colour[..., 0], 255 - SMALL_GREY)


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), np.uint16)
    path = save(tmp_path / "x.tif", SMALL_GREY, photometric="palette", colormap=colours * 256)
    assert np.array_equal(read(path).colour, np.moveaxis(colours[:, SMALL_GREY], 0, -1))


def test_sixteen_bits(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", SMALL.astype(np.uint16) * 257, photometric="rgb")
    image = read(path)
    assert np.array_equal(image.colour, SMALL)
    assert "16 bits" in describe(path).notes[0]


def test_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([SMALL, SMALL_GREY])
    image = read(save(tmp_path / "x.tif", rgba, photometric="rgb", extrasamples=["unassalpha"]))
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.colour, image.alpha]), rgba)


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    alpha = np.full_like(SMALL_GREY, 128)
    premultiplied = np.dstack([(SMALL.astype(int) * 128 // 255).astype(np.uint8), alpha])
    image = read(save(tmp_path / "x.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"]))
    assert abs(image.colour.astype(int) - SMALL).max() <= 2


def test_orientation(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", SMALL, photometric="rgb", extratags=[(274, 3, 1, 8, True)])
    image = read(path)
    assert np.array_equal(image.colour, np.rot90(SMALL))
    assert describe(path).size_xy == (40, 64)


@pytest.mark.parametrize(("unit", "per_unit"), [("CENTIMETER", 20_000), ("INCH", 50_800)])
def test_resolution_tags(tmp_path: Path, unit: str, per_unit: int) -> None:
    path = save(
        tmp_path / "x.tif",
        SMALL,
        photometric="rgb",
        resolution=(per_unit, per_unit),
        resolutionunit=unit,
    )
    description = describe(path)
    assert description.mpp == pytest.approx((0.5, 0.5))
    assert description.mpp_source == "TIFF resolution"


def test_aperio_text_goes_before_tags(tmp_path: Path) -> None:
    text = "Aperio Image\r\n64x40|AppMag = 40|MPP = 0.2525"
    path = save(tmp_path / "x.tif", SMALL, photometric="rgb", description=text, resolution=(72, 72))
    description = describe(path)
    assert (description.mpp, description.power) == (Mpp(0.2525, 0.2525), 40)
    assert description.notes == ()


def test_imagej_calibration(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, SMALL, imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "YXS"})
    description = describe(path)
    assert description.mpp == pytest.approx((0.25, 0.25))
    assert description.mpp_source == "ImageJ calibration"


def test_ome_rgb_with_a_pyramid(tmp_path: Path) -> None:
    path = tmp_path / "x.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.26}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(SMALL, photometric="rgb", subifds=1, metadata=metadata)
        tiff.write(SMALL[::2, ::2], photometric="rgb", subfiletype=1)
    image = read(path)
    assert describe(path).format == "OME-TIFF"
    assert describe(path).mpp == pytest.approx((0.25, 0.26))
    assert describe(path).levels_xy == ((64, 40), (32, 20))
    assert np.array_equal(image.colour, SMALL)


def test_a_pyramid_of_pages_is_one_image(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(SMALL, photometric="rgb", metadata=None)
        tiff.write(SMALL[::2, ::2], photometric="rgb", metadata=None)
    assert np.array_equal(read(path).colour, SMALL)
    assert describe(path).levels_xy == ((64, 40), (32, 20))


@pytest.mark.parametrize(
    ("shape", "kind", "options", "sentence"),
    [
        ((5, 40, 64, 3), "u1", {"photometric": "rgb"}, "holds 5 pages"),
        (
            (3, 40, 64),
            "u1",
            {"metadata": {"axes": "ZYX"}, "ome": True, "photometric": "minisblack"},
            "holds 3 focal planes",
        ),
        (
            (4, 40, 64),
            "u1",
            {"metadata": {"axes": "CYX"}, "ome": True, "photometric": "minisblack"},
            "4 separate channels",
        ),
        (
            (3, 40, 64),
            "u1",
            {"metadata": {"axes": "CYX"}, "imagej": True, "photometric": "minisblack"},
            "3 separate channels",
        ),
        ((40, 64, 4), "u1", {"photometric": "separated"}, "is in CMYK"),
        ((40, 64, 5), "u1", {"photometric": "minisblack", "planarconfig": "contig"}, "has 5 channels"),
        ((40, 64, 4), "u1", {"photometric": "rgb", "extrasamples": ["unspecified"]}, "has 4 channels"),
        ((40, 64), "f4", {"photometric": "minisblack"}, "has 32-bit float32 samples"),
        ((40, 64), "u2", {"photometric": "minisblack"}, "true range is unknown"),
    ],
)
def test_refusals(
    tmp_path: Path, shape: tuple[int, ...], kind: str, options: dict[str, Any], sentence: str
) -> None:
    path = save(tmp_path / "x.tif", np.full(shape, 200, kind), **options)
    with pytest.raises(InputError, match=sentence) as refused:
        read(path)
    assert str(refused.value).count(". ") == 0
    assert describe(path).size_xy == (64, 40)


def test_ome_fluorescence_of_one_channel_is_refused(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "Channel": {"EmissionWavelength": 525}}
    path = save(tmp_path / "x.ome.tif", SMALL_GREY, ome=True, photometric="minisblack", metadata=metadata)
    with pytest.raises(InputError, match="is fluorescence by its OME-XML"):
        read(path)


@pytest.mark.parametrize("compression", [None, "deflate", "jpeg"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_truncated_file_whole(tmp_path: Path, compression: str | None, kept: float) -> None:
    path = save(
        tmp_path / "x.tif",
        np.tile(SMALL, (8, 8, 1)),
        photometric="rgb",
        compression=compression,
        tile=(64, 64),
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"x\.tif is "):
        read(path)


def test_a_jpeg_strip_cut_short_is_not_filled_with_grey(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", np.tile(SMALL, (8, 8, 1)), photometric="rgb", compression="jpeg")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="its index points beyond its"):
        read(path)


def test_a_damaged_strip(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", SMALL, photometric="rgb", compression="deflate")
    content = bytearray(path.read_bytes())
    content[-20:-10] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read(path)


# Tags that are damaged or unusual.


def retagged(path: Path, code: int, kind: int, value: bytes) -> Path:
    """The file with another value in the first entry of that code."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    for number in range(int.from_bytes(content[start : start + 2], "little")):
        entry = start + 2 + 12 * number
        if int.from_bytes(content[entry : entry + 2], "little") == code:
            content[entry + 2 : entry + 4] = kind.to_bytes(2, "little")
            content[entry + 4 : entry + 12] = (1).to_bytes(4, "little") + value.ljust(4, b"\0")
            path.write_bytes(content)
            return path
    raise AssertionError(f"no tag {code}")


def test_a_profile_that_is_a_number_counts_as_none(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", SMALL, photometric="rgb", iccprofile=b"profile", compression="deflate")
    assert describe(retagged(path, 34675, 3, b"\x07")).icc_profile is None
    assert np.array_equal(read(path).colour, SMALL)


@pytest.mark.parametrize(
    ("code", "value", "word"),
    [(284, b"\5", "PlanarConfiguration 5"), (256, b"\0", "no pixels"), (277, b"\2", "2 channels")],
)
def test_tags_that_contradict_the_pixels_are_a_sentence(
    tmp_path: Path, code: int, value: bytes, word: str
) -> None:
    path = retagged(save(tmp_path / "x.tif", SMALL, photometric="rgb"), code, 3, value)
    with pytest.raises(InputError, match=rf"x\.tif .*{word}"):
        open_slide(path)


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack", "miniswhite"])
def test_missing_tiles_are_white_in_every_path(tmp_path: Path, kind: str, photometric: str) -> None:
    shape = (128, 128, 3) if photometric == "rgb" else (128, 128)
    tile = np.full((64, 64, *shape[2:]), 200 if kind == "u1" else 50_000, kind)
    tiles = iter([tile, None, tile, None])
    path, options = tmp_path / "x.tif", {"tile": (64, 64), "compression": "deflate", "metadata": None}
    tifffile.imwrite(path, tiles, shape=shape, dtype=kind, photometric=photometric, **options)
    with open_slide(path) as slide:
        assert (slide.read_region(0, (64, 0), (64, 128)) == 255).all()
        assert (slide.read_region(0, (0, 0), (64, 128)) != 255).all()
    assert (read(path).colour[:, 64:] == 255).all()


def test_a_tile_larger_than_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.io.tiff_page.CACHE_BYTES", 100)
    monkeypatch.setattr("histoscale.resources.available_bytes", lambda: 20_000)
    path = save(tmp_path / "x.tif", SMALL[:16, :16], photometric="rgb", tile=(64, 64), compression="deflate")
    with pytest.raises(InputError, match=r"x\.tif .*in one piece"), open_slide(path) as slide:
        slide.read_region(0, (0, 0), (5, 5))


@pytest.mark.parametrize("name", ["ij_04.tif", "ij_06.tif", "ij_08.tif", "ij_12.tif"])
def test_cases_of_units(cases: Path, name: str) -> None:
    found = describe(cases / "units" / name)
    assert (found.mpp, found.mpp_source, found.notes) == ((0.5, 0.5), "ImageJ calibration", ())


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("ome_mpp_1e-300.ome.tif", "impossible"),
        ("mpp_1e-30.svs", "impossible"),
        ("bits_bytes_784.tif", "unit"),
    ],
)
def test_cases_of_metadata_that_are_ignored_with_a_remark(cases: Path, name: str, word: str) -> None:
    found = describe(cases / "metadata" / name)
    assert found.mpp is None
    assert any(word in note.lower() for note in found.notes)


def test_a_case_of_too_many_planes(cases: Path) -> None:
    with pytest.raises(InputError, match=r"bomb_sizez_2e8\.ome\.tif is not supported: .*planes"):
        describe(cases / "metadata" / "bomb_sizez_2e8.ome.tif")


def test_a_unit_of_imagej_that_is_not_understood_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, SMALL, imagej=True, resolution=(4, 4), metadata={"unit": "furlong", "axes": "YXS"})
    found = describe(path)
    assert found.mpp is None
    assert "furlong" in found.notes[0]
