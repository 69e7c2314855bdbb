"""TIFF of every kind: handled, or refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from histoscale.errors import InputError
from histoscale.slides.description import Mpp
from histoscale.slides.reader import describe, read

RGB = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
GREY = RGB[..., 0].copy()


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **({"metadata": None} | options))
    return path


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
    picture = read(save(tmp_path / "x.tif", RGB, photometric="rgb", **options))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.description.format == "TIFF"
    assert picture.description.size_xy == (64, 40)


def test_separate_planes(tmp_path: Path) -> None:
    planes = np.moveaxis(RGB, -1, 0).copy()
    path = save(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(path).pixels, RGB)


def test_jpeg_in_tiff_is_rgb(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.array([200, 120, 160], np.uint8), (64, 64, 3)).copy()
    path = save(tmp_path / "x.tif", smooth, photometric="rgb", compression="jpeg")
    assert abs(read(path).pixels.astype(int) - smooth).max() <= 3
    assert describe(path).compression == "jpeg"


def test_white_is_zero(tmp_path: Path) -> None:
    picture = read(save(tmp_path / "x.tif", GREY, photometric="miniswhite"))
    assert np.array_equal(picture.pixels[..., 0], 255 - GREY)


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), np.uint16)
    path = save(tmp_path / "x.tif", GREY, photometric="palette", colormap=colours * 256)
    assert np.array_equal(read(path).pixels, np.moveaxis(colours[:, GREY], 0, -1))


def test_sixteen_bits(tmp_path: Path) -> None:
    picture = read(save(tmp_path / "x.tif", RGB.astype(np.uint16) * 257, photometric="rgb"))
    assert np.array_equal(picture.pixels, RGB)
    assert "16 bits a channel are read as 8" in picture.description.notes


def test_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, GREY])
    picture = read(save(tmp_path / "x.tif", rgba, photometric="rgb", extrasamples=["unassalpha"]))
    assert picture.alpha is not None
    assert np.array_equal(np.dstack([picture.pixels, picture.alpha]), rgba)


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    alpha = np.full_like(GREY, 128)
    premultiplied = np.dstack([(RGB.astype(int) * 128 // 255).astype(np.uint8), alpha])
    picture = read(save(tmp_path / "x.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"]))
    assert abs(picture.pixels.astype(int) - RGB).max() <= 2


def test_orientation(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, photometric="rgb", extratags=[(274, 3, 1, 8, True)])
    picture = read(path)
    assert np.array_equal(picture.pixels, np.rot90(RGB))
    assert picture.description.size_xy == (40, 64)


@pytest.mark.parametrize(("unit", "per_unit"), [("CENTIMETER", 20_000), ("INCH", 50_800)])
def test_resolution_tags(tmp_path: Path, unit: str, per_unit: int) -> None:
    path = save(
        tmp_path / "x.tif", RGB, photometric="rgb", resolution=(per_unit, per_unit), resolutionunit=unit
    )
    description = describe(path)
    assert description.mpp == pytest.approx((0.5, 0.5))
    assert description.mpp_source == "TIFF resolution"


def test_aperio_text_goes_before_tags(tmp_path: Path) -> None:
    text = "Aperio Image\r\n64x40|AppMag = 40|MPP = 0.2525"
    path = save(tmp_path / "x.tif", RGB, photometric="rgb", description=text, resolution=(72, 72))
    description = describe(path)
    assert (description.mpp, description.power) == (Mpp(0.2525, 0.2525), 40)
    assert description.notes == ()


def test_imagej_calibration(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, RGB, imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "YXS"})
    description = describe(path)
    assert description.mpp == pytest.approx((0.25, 0.25))
    assert description.mpp_source == "ImageJ calibration"


def test_ome_rgb_with_a_pyramid(tmp_path: Path) -> None:
    path = tmp_path / "x.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.26}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(RGB, photometric="rgb", subifds=1, metadata=metadata)
        tiff.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    picture = read(path)
    assert picture.description.format == "OME-TIFF"
    assert picture.description.mpp == pytest.approx((0.25, 0.26))
    assert picture.description.levels_xy == ((64, 40), (32, 20))
    assert np.array_equal(picture.pixels, RGB)


def test_a_pyramid_of_pages_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(RGB, photometric="rgb", metadata=None)
        tiff.write(RGB[::2, ::2], photometric="rgb", metadata=None)
    assert np.array_equal(read(path).pixels, RGB)
    assert describe(path).levels_xy == ((64, 40), (32, 20))


@pytest.mark.parametrize(
    ("shape", "kind", "options", "sentence"),
    [
        ((5, 40, 64, 3), "u1", {"photometric": "rgb"}, "holds 5 pages"),
        ((3, 40, 64), "u1", {"metadata": {"axes": "ZYX"}, "ome": True}, "holds 3 focal planes"),
        ((4, 40, 64), "u1", {"metadata": {"axes": "CYX"}, "ome": True}, "4 separate channels"),
        ((3, 40, 64), "u1", {"metadata": {"axes": "CYX"}, "imagej": True}, "3 separate channels"),
        ((40, 64, 4), "u1", {"photometric": "separated"}, "is in CMYK"),
        ((40, 64, 5), "u1", {"photometric": "minisblack", "planarconfig": "contig"}, "has 5 channels"),
        ((40, 64, 4), "u1", {"photometric": "rgb", "extrasamples": ["unspecified"]}, "has 4 channels"),
        ((40, 64), "f4", {}, "has 32-bit float32 samples"),
        ((40, 64), "u2", {}, "true range is unknown"),
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


def test_pages_of_unrelated_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(RGB, photometric="rgb", metadata=None)
        tiff.write(RGB[:30], photometric="rgb", metadata=None)
    with pytest.raises(InputError, match="holds 2 pages"):
        read(path)


def test_ome_fluorescence_of_one_channel_is_refused(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "Channel": {"EmissionWavelength": 525}}
    path = save(tmp_path / "x.ome.tif", GREY, ome=True, metadata=metadata)
    with pytest.raises(InputError, match="is fluorescence by its OME-XML"):
        read(path)


@pytest.mark.parametrize("compression", [None, "deflate", "jpeg"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_truncated_file(tmp_path: Path, compression: str | None, kept: float) -> None:
    path = save(
        tmp_path / "x.tif", np.tile(RGB, (8, 8, 1)), photometric="rgb", compression=compression, tile=(64, 64)
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"x\.tif is "):
        read(path)


def test_a_jpeg_strip_cut_short_is_not_filled_with_grey(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", np.tile(RGB, (8, 8, 1)), photometric="rgb", compression="jpeg")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="its index points beyond its"):
        read(path)


def test_a_damaged_strip(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, photometric="rgb", compression="deflate")
    content = bytearray(path.read_bytes())
    content[-20:-10] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read(path)
