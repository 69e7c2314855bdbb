"""PNG, JPEG, WebP and BMP of every kind: handled, or refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from histoscale.errors import InputError
from histoscale.io.formats import describe, open_slide, read
from histoscale.io.image_reader import PictureSlide, to_eight_bits, unpremultiplied, upright, upright_size
from histoscale.io.slide import Mpp

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.bmp"])
def test_rgb_comes_back_exactly(tmp_path: Path, name: str) -> None:
    picture = read(save(tmp_path / name, Image.fromarray(RGB), lossless=True))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.alpha is None
    assert picture.description.size_xy == (7, 5)
    assert picture.description.channels == "RGB"
    assert picture.is_opaque


def test_grey_stays_grey(tmp_path: Path) -> None:
    picture = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., 0])))
    assert np.array_equal(picture.pixels, RGB[..., :1])


def test_alpha_is_kept_apart(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, RGB[..., 0]])
    picture = read(save(tmp_path / "x.png", Image.fromarray(rgba)))
    assert picture.alpha is not None
    assert np.array_equal(np.dstack([picture.pixels, picture.alpha]), rgba)
    assert picture.description.channels == "RGB + alpha"
    assert not picture.is_opaque


def test_grey_with_alpha(tmp_path: Path) -> None:
    picture = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., :2].copy(), mode="LA")))
    assert picture.pixels.shape == (5, 7, 1)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, RGB[..., 1])


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    indexed = Image.fromarray(RGB).quantize(16)
    picture = read(save(tmp_path / "x.png", indexed))
    assert np.array_equal(picture.pixels, np.asarray(indexed.convert("RGB")))
    assert picture.description.channels == "palette"


def test_a_transparent_colour_becomes_alpha(tmp_path: Path) -> None:
    indexed = Image.fromarray(RGB).quantize(16)
    picture = read(save(tmp_path / "x.png", indexed, transparency=3))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, np.asarray(indexed) == 3)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    picture = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., 0] > 127)))
    assert np.array_equal(picture.pixels[..., 0], np.where(RGB[..., 0] > 127, 255, 0))


def test_sixteen_bits_are_read_as_eight_and_said_so(tmp_path: Path) -> None:
    wide = RGB[..., 0].astype(np.uint16) * 257
    picture = read(save(tmp_path / "x.png", Image.fromarray(wide)))
    assert np.array_equal(picture.pixels[..., 0], RGB[..., 0])
    assert picture.description.bits == 16
    assert picture.description.notes == ("16 bits a channel are read as 8",)


def test_rotation_is_applied_and_swaps_the_mpp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "x.png", Image.fromarray(RGB), exif=exif, dpi=(50_800, 101_600))
    picture = read(path)
    assert np.array_equal(picture.pixels, np.rot90(RGB, -1))
    assert picture.description.size_xy == (5, 7)
    assert picture.description.mpp == pytest.approx((0.25, 0.5), rel=1e-6)


def test_the_profile_is_carried(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(tmp_path / "x.jpg", Image.fromarray(RGB), icc_profile=profile)
    assert describe(path).icc_profile == profile


@pytest.mark.parametrize(("name", "source"), [("x.png", "PNG pHYs density"), ("x.jpg", "JPEG density")])
def test_density_of_a_microscope(tmp_path: Path, name: str, source: str) -> None:
    description = describe(save(tmp_path / name, Image.fromarray(RGB), dpi=(50_800, 50_800)))
    assert description.mpp == pytest.approx(Mpp(0.5, 0.5), rel=1e-6)
    assert description.mpp_source == source


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_density_of_a_screen_is_ignored_and_said_so(tmp_path: Path, name: str) -> None:
    description = describe(save(tmp_path / name, Image.fromarray(RGB), dpi=(72, 72)))
    assert description.mpp is None
    assert "not a microscope's" in description.notes[0]


def test_a_jpeg_without_density_says_nothing(tmp_path: Path) -> None:
    description = describe(save(tmp_path / "x.jpg", Image.fromarray(RGB)))
    assert (description.mpp, description.notes) == (None, ())


def test_cmyk_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "x.jpg", Image.fromarray(RGB).convert("CMYK"))
    assert describe(path).channels == "CMYK"
    with pytest.raises(InputError, match="is in CMYK, not RGB or grey"):
        read(path)


@pytest.mark.parametrize("name", ["x.png", "x.webp"])
def test_an_animation_is_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    path = save(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 2 pictures or frames"):
        read(path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.98])
def test_a_truncated_file(tmp_path: Path, name: str, kept: float) -> None:
    path = save(tmp_path / name, Image.fromarray(np.tile(RGB, (20, 20, 1))))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read(path)


def test_a_flipped_bit_in_a_png(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", Image.fromarray(RGB))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read(path)


def test_a_picture_beyond_memory_is_refused_from_its_header(tmp_path: Path) -> None:
    path = save(tmp_path / "x.bmp", Image.fromarray(RGB))
    content = bytearray(path.read_bytes())
    content[18:26] = (2_000_000_000).to_bytes(4, "little") + (50_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="too large to be held in memory"):
        read(path)
    assert Image.MAX_IMAGE_PIXELS is not None


# Ordinary pictures as slides of one level.


RGB_picture_slide = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)


def test_a_region_is_a_slice(tmp_path: Path) -> None:
    Image.fromarray(RGB_picture_slide).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        assert isinstance(slide, PictureSlide)
        assert slide.levels_xy == ((64, 40),)
        assert slide.description == describe(tmp_path / "x.png")
        assert np.array_equal(slide.read_region(0, (5, 7), (30, 20)), RGB_picture_slide[7:27, 5:35])
        with pytest.raises(
            InputError, match=r"30 x 20 px at \(40, 7\) of level 0 are wanted, which has 64 x 40"
        ):
            slide.read_region(0, (40, 7), (30, 20))
        with pytest.raises(InputError, match="has levels 0 to 0, and level 1 is wanted"):
            slide.read_region(1, (0, 0), (5, 5))
        with pytest.raises(InputError, match="no associated image 'label'"):
            slide.associated_image("label")


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    Image.fromarray(RGB_picture_slide[..., 0].copy()).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (5, 7), (30, 20))
    assert np.array_equal(found, RGB_picture_slide[7:27, 5:35, :1].repeat(3, axis=2))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.zeros((40, 64), np.uint8)
    alpha[:, 32:] = 255
    alpha[:20, :32] = 128
    Image.fromarray(np.dstack([RGB_picture_slide, alpha])).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (0, 0), (64, 40))
    assert np.array_equal(found[:, 32:], RGB_picture_slide[:, 32:])
    assert (found[20:, :32] == 255).all()
    mixed = RGB_picture_slide[:20, :32] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found[:20, :32] - mixed).max() <= 0.5


def test_a_refused_picture(tmp_path: Path) -> None:
    Image.new("CMYK", (6, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(InputError, match="is in CMYK"):
        open_slide(tmp_path / "x.jpg")


def test_of_a_pyramid_that_is_held_in_memory_there_is_one_level(tmp_path: Path) -> None:
    deep = RGB_picture_slide.astype(np.uint16) * 257
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(deep, photometric="rgb", metadata=None, subifds=1)
        tiff.write(deep[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    assert describe(tmp_path / "x.tif").levels_xy == ((64, 40), (32, 20))
    with open_slide(tmp_path / "x.tif") as slide:
        assert isinstance(slide, PictureSlide)
        assert slide.levels_xy == ((64, 40),)
        assert slide.best_level(2) == 0


# Orientation, bit depth and opacity, on arrays small enough to see.


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_does(orientation: int) -> None:
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(image))
    found = upright(array, orientation)
    assert np.array_equal(found, wanted)
    assert upright_size((3, 2), orientation) == (wanted.shape[1], wanted.shape[0])


@pytest.mark.parametrize(
    ("bits", "value", "wanted"), [(16, 65535, 255), (16, 128 * 257, 128), (12, 4095, 255), (1, 1, 255)]
)
def test_full_range_becomes_full_range(bits: int, value: int, wanted: int) -> None:
    array = np.array([[0, value]], np.uint16)
    assert to_eight_bits(array, bits, "x.tif").tolist() == [[0, wanted]]


def test_eight_bits_stay() -> None:
    array = np.array([[0, 7, 255]], np.uint8)
    assert np.array_equal(to_eight_bits(array, 8, "x.tif"), array)


def test_twelve_bits_in_a_sixteen_bit_file_are_refused() -> None:
    with pytest.raises(InputError, match=r"x\.tif has 16-bit samples that end at 4000 of 65535"):
        to_eight_bits(np.array([[4000]], np.uint16), 16, "x.tif")


def test_premultiplied_colours_come_back() -> None:
    alpha = np.array([[255, 128, 0]], np.uint8)
    colour = np.array([[[200], [100], [0]]], np.uint8)
    assert unpremultiplied(colour, alpha)[0, :, 0].tolist() == [200, 199, 0]
