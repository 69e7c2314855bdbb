"""Pixels of every kind of TIFF image, compared with independent readers."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from histoscale.errors import InputError
from histoscale.io.formats import describe, open_slide, read

RGB = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[60:200:2, 30:220:2], 128), axis=-1).astype(np.uint8)
APERIO_YCBCR, OLD_JPEG = 33003, 6
FULL_DENSITY = (530, 3, 2, (1, 1), True)
"""The tag that says that colour is not subsampled; without it, YCbCr is."""


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **({"metadata": None, "photometric": "rgb"} | options))
    return path


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


def write_tiles(path: Path, encoded: list[bytes], size_xy: tuple[int, int], **options: Any) -> Path:
    """A file of one row of encoded tiles of 64 x 64 pixels; those of no bytes are left out."""
    defaults = {"tile": (64, 64), "photometric": "rgb", "metadata": None, "dtype": "u1"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(iter(encoded), shape=(size_xy[1], size_xy[0], 3), **(defaults | options))
    return path


def same_everywhere(path: Path) -> np.ndarray:
    """The RGB pixels of a file, which are the same as a whole, in a region, and in every strip."""
    whole = read(path)
    with open_slide(path) as slide:
        width, height = slide.levels_xy[0]
        region = slide.read_region(0, (0, 0), (width, height))
        part = slide.read_pixels((3, 2), (width - 5, height - 4))
        rows = [slide.read_region(0, (0, row), (width, 1)) for row in range(height)]
    assert np.array_equal(part.colour, whole.colour[2:-2, 3:-2])
    assert np.array_equal(region, np.concatenate(rows))
    if whole.alpha is None:
        assert np.array_equal(region, np.broadcast_to(whole.colour, region.shape))
    else:
        assert part.alpha is not None
        assert np.array_equal(part.alpha, whole.alpha[2:-2, 3:-2])
    return region


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_of_every_depth(tmp_path: Path, bits: int, photometric: str) -> None:
    grey = RGB[..., 0].astype(int) * (2**bits - 1) // 255
    digits = (grey[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(digits.reshape(len(grey), -1), axis=1)
    path = save(tmp_path / "x.tif", packed, photometric=photometric, compression="deflate")
    path = retagged(retagged(path, 256, 3, bytes([64])), 258, 3, bytes([bits]))
    assert np.array_equal(tifffile.imread(path), grey)
    expected = grey / (2**bits - 1)
    expected = np.rint(255 * (1 - expected if photometric == "miniswhite" else expected))
    assert np.abs(same_everywhere(path)[..., 0] - expected).max() <= 1


def test_a_palette_with_opacity(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), np.uint16)
    both = np.dstack([RGB[..., 0], RGB[..., 1]])
    table = (320, "H", 768, (colours * 256).ravel().tolist(), True)
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "extratags": [table]}
    path = save(tmp_path / "x.tif", both, planarconfig="contig", **options)
    found = read(retagged(path, 262, 3, b"\3"))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, RGB[..., 1])
    assert np.array_equal(found.colour, np.moveaxis(colours[:, RGB[..., 0]], 0, -1))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_palette_of_every_depth(tmp_path: Path, bits: int) -> None:
    Image.fromarray(RGB).quantize(2**bits).save(tmp_path / "x.tif")
    with Image.open(tmp_path / "x.tif") as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(same_everywhere(tmp_path / "x.tif"), expected)


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"rowsperstrip": 7}])
def test_ycbcr_is_converted(tmp_path: Path, compression: str, layout: dict[str, Any]) -> None:
    stored = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    path = save(tmp_path / "x.tif", stored, compression=compression, extratags=[FULL_DENSITY], **layout)
    found = same_everywhere(retagged(path, 262, 3, b"\6"))
    expected = np.asarray(Image.fromarray(stored, "YCbCr").convert("RGB"))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert describe(path).channels == "RGB"


def test_the_tags_of_ycbcr_count(tmp_path: Path) -> None:
    """Codes of video, in which black is 16 and white is 235."""
    stored = np.empty((20, 20, 3), np.uint8)
    stored[:10], stored[10:] = (16, 128, 128), (235, 128, 128)
    codes = [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)]
    tag = (532, 5, 6, [number for pair in codes for number in pair], True)
    path = save(tmp_path / "x.tif", stored, compression="deflate", extratags=[FULL_DENSITY, tag])
    found = same_everywhere(retagged(path, 262, 3, b"\6"))
    assert (found[:10] == 0).all()
    assert (found[10:] == 255).all()


def test_subsampled_ycbcr_without_jpeg_is_not_supported(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, compression="deflate", extratags=[(530, 3, 2, (2, 2), True)])
    with pytest.raises(InputError, match="not supported: YCbCr"):
        open_slide(retagged(path, 262, 3, b"\6"))


@pytest.mark.parametrize("photometric", [2, 6])
def test_aperios_jpeg_2000_is_ycbcr_whatever_the_photometric_says(tmp_path: Path, photometric: int) -> None:
    """OpenSlide reads the same tiles in a file that says that it is Aperio's."""
    smooth = np.zeros((64, 128, 3), np.uint8)
    smooth[:] = SMOOTH[:64, :128] if SMOOTH.shape[1] >= 128 else np.tile(SMOOTH[:64], (1, 2, 1))[:, :128]
    stored = np.asarray(Image.fromarray(smooth).convert("YCbCr"))
    tiles = [
        imagecodecs.jpeg2k_encode(stored[:, x : x + 64], level=0, mct=False, codecformat="j2k")
        for x in (0, 64)
    ]
    text = "Aperio Image Library v11.2.1 \r\n128x64 (64x64) J2K/YUV16 Q=70|AppMag = 20|MPP = 0.5"
    path = write_tiles(tmp_path / "x.svs", tiles, (128, 64), compression=APERIO_YCBCR, description=text)
    with openslide.OpenSlide(path) as slide:
        expected = np.asarray(slide.read_region((0, 0), 0, (128, 64)).convert("RGB"))
    plain = write_tiles(tmp_path / "x.tif", tiles, (128, 64), compression=APERIO_YCBCR)
    found = same_everywhere(retagged(plain, 262, 3, bytes([photometric])))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.abs(found.astype(int) - smooth).max() <= 3


def test_missing_tiles_of_ycbcr_are_white(tmp_path: Path) -> None:
    tile = np.asarray(Image.new("RGB", (64, 64), (200, 100, 150)).convert("YCbCr"))
    encoded = imagecodecs.jpeg2k_encode(tile, level=0, mct=False, codecformat="j2k")
    path = write_tiles(tmp_path / "x.tif", [encoded, b""], (128, 64), compression=APERIO_YCBCR)
    found = same_everywhere(path)
    assert np.abs(found[:, :64].astype(int) - (200, 100, 150)).max() <= 2
    assert (found[:, 64:] == 255).all()


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_is_decoded_as_pillow_decodes_it(tmp_path: Path, subsampling: tuple[int, int]) -> None:
    path = save(tmp_path / "x.tif", SMOOTH, compression="jpeg", subsampling=subsampling)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.abs(same_everywhere(path).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "deflate", "tile": (16, 16)}])
@pytest.mark.parametrize("channels", [1, 3])
def test_planes_with_opacity(tmp_path: Path, channels: int, options: dict[str, Any]) -> None:
    alpha = np.where(RGB[..., 0] > 99, 255, 7).astype(np.uint8)
    planes = np.stack([*np.moveaxis(RGB[..., :channels], -1, 0), alpha])
    kind = {"photometric": "rgb" if channels == 3 else "minisblack", "extrasamples": ["unassalpha"]}
    path = save(tmp_path / "x.tif", planes, planarconfig="separate", **kind, **options)
    same_everywhere(path)
    found = read(path)
    assert np.array_equal(found.colour, RGB[..., :channels])
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)


def test_jpeg_of_twelve_bits(tmp_path: Path) -> None:
    deep = np.repeat(SMOOTH[:64, :64].astype(np.uint16), 1, axis=2) * 16
    encoded = imagecodecs.jpeg_encode(deep, 98, bitspersample=12)
    options = {"compression": "jpeg", "dtype": "u2", "bitspersample": 12}
    path = write_tiles(tmp_path / "x.tif", [encoded], (64, 64), **options)
    assert np.abs(same_everywhere(path).astype(int) - SMOOTH[:64, :64]).max() <= 8


def test_old_style_jpeg_is_not_supported(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", SMOOTH, compression="jpeg")
    with pytest.raises(InputError, match=r"x\.tif is not supported: old-style JPEG"):
        read(retagged(path, 259, 3, bytes([OLD_JPEG])))


def test_an_unknown_compression_is_not_supported(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", RGB, compression="deflate")
    with pytest.raises(InputError, match=r"x\.tif is not supported: TIFF compression"):
        read(retagged(path, 259, 3, (64_999).to_bytes(2, "little")))


@pytest.mark.parametrize("name", ["sparse_jpeg.tif", "palette_alpha.tif", "j2k_33003_rgbphoto.tif"])
def test_cases_are_the_same_in_every_path(cases: Path, name: str) -> None:
    found = same_everywhere(cases / "pixels" / name)
    if name == "sparse_jpeg.tif":
        assert (found[:256, :256] == 255).all()
    if name == "j2k_33003_rgbphoto.tif":
        assert np.abs(found.mean((0, 1)) - (178, 123, 159)).max() < 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("planar_5.tif", "PlanarConfiguration 5"),
        ("rgb_2_samples.tif", "2 channels"),
        ("zero_width.tif", "no pixels"),
        ("tile_huge.tif", "too large"),
    ],
)
def test_cases_that_are_a_sentence(cases: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*{words}"):
        read(cases / "pixels" / name)
