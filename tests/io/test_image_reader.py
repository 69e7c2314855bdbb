"""PNG, JPEG, WebP and BMP of every kind: handled, or refused in one sentence."""

import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from histoscale.errors import InputError
from histoscale.io.formats import describe, open_slide, read
from histoscale.io.image_reader import ImageSlide, read_labels, read_rgb, read_size
from histoscale.io.slide import Mpp

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.bmp"])
def test_rgb_comes_back_exactly(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, Image.fromarray(RGB), lossless=True)
    image = read(path)
    assert np.array_equal(image.colour, RGB)
    assert image.alpha is None
    assert describe(path).size_xy == (7, 5)
    assert describe(path).channels == "RGB"
    assert image.is_opaque


def test_grey_stays_grey(tmp_path: Path) -> None:
    image = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., 0])))
    assert np.array_equal(image.colour, RGB[..., :1])


def test_alpha_is_kept_apart(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, RGB[..., 0]])
    path = save(tmp_path / "x.png", Image.fromarray(rgba))
    image = read(path)
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.colour, image.alpha]), rgba)
    assert describe(path).channels == "RGB + alpha"
    assert not image.is_opaque


def test_grey_with_alpha(tmp_path: Path) -> None:
    image = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., :2].copy(), mode="LA")))
    assert image.colour.shape == (5, 7, 1)
    assert image.alpha is not None
    assert np.array_equal(image.alpha, RGB[..., 1])


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    indexed = Image.fromarray(RGB).quantize(16)
    path = save(tmp_path / "x.png", indexed)
    image = read(path)
    assert np.array_equal(image.colour, np.asarray(indexed.convert("RGB")))
    assert describe(path).channels == "palette"


def test_a_transparent_colour_becomes_alpha(tmp_path: Path) -> None:
    indexed = Image.fromarray(RGB).quantize(16)
    image = read(save(tmp_path / "x.png", indexed, transparency=3))
    assert image.alpha is not None
    assert np.array_equal(image.alpha == 0, np.asarray(indexed) == 3)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    image = read(save(tmp_path / "x.png", Image.fromarray(RGB[..., 0] > 127)))
    assert np.array_equal(image.colour[..., 0], np.where(RGB[..., 0] > 127, 255, 0))


def test_sixteen_bits_are_read_as_eight_and_said_so(tmp_path: Path) -> None:
    wide = RGB[..., 0].astype(np.uint16) * 257
    path = save(tmp_path / "x.png", Image.fromarray(wide))
    image = read(path)
    assert np.array_equal(image.colour[..., 0], RGB[..., 0])
    assert describe(path).bits == 16
    assert "16 bits" in describe(path).notes[0]


def test_rotation_is_applied_and_swaps_the_mpp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "x.png", Image.fromarray(RGB), exif=exif, dpi=(50_800, 101_600))
    image = read(path)
    assert np.array_equal(image.colour, np.rot90(RGB, -1))
    assert describe(path).size_xy == (5, 7)
    assert describe(path).mpp == pytest.approx((0.25, 0.5), rel=1e-6)


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
    with pytest.raises(InputError, match="holds 2 images or frames"):
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


def test_a_image_beyond_memory_is_refused_from_its_header(tmp_path: Path) -> None:
    path = save(tmp_path / "x.bmp", Image.fromarray(RGB))
    content = bytearray(path.read_bytes())
    content[18:26] = (2_000_000_000).to_bytes(4, "little") + (50_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="too large to be held in memory"):
        read(path)
    assert Image.MAX_IMAGE_PIXELS is not None


WIDE = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)


def test_a_region_is_a_slice(tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        assert isinstance(slide, ImageSlide)
        assert slide.levels_xy == ((64, 40),)
        assert slide.description == describe(tmp_path / "x.png")
        assert np.array_equal(slide.read_region(0, (5, 7), (30, 20)), WIDE[7:27, 5:35])
        with pytest.raises(InputError, match=r"30 x 20 px at \(40, 7\) of level 0 .* 64 x 40"):
            slide.read_region(0, (40, 7), (30, 20))
        with pytest.raises(InputError, match="has no level 1"):
            slide.read_region(1, (0, 0), (5, 5))
        with pytest.raises(InputError, match="no associated image 'label'"):
            slide.associated_image("label")


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    Image.fromarray(WIDE[..., 0].copy()).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (5, 7), (30, 20))
    assert np.array_equal(found, WIDE[7:27, 5:35, :1].repeat(3, axis=2))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.zeros((40, 64), np.uint8)
    alpha[:, 32:] = 255
    alpha[:20, :32] = 128
    Image.fromarray(np.dstack([WIDE, alpha])).save(tmp_path / "x.png")
    with open_slide(tmp_path / "x.png") as slide:
        found = slide.read_region(0, (0, 0), (64, 40))
    assert np.array_equal(found[:, 32:], WIDE[:, 32:])
    assert (found[20:, :32] == 255).all()
    mixed = WIDE[:20, :32] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found[:20, :32] - mixed).max() <= 0.5


def test_a_refused_image(tmp_path: Path) -> None:
    Image.new("CMYK", (6, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(InputError, match="is in CMYK"):
        open_slide(tmp_path / "x.jpg")


def test_rgb_for_training_is_that_of_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", Image.fromarray(WIDE), compression="tiff_lzw")
    assert np.array_equal(read_rgb(path), WIDE)
    assert read_size(path) == (40, 64)


def test_damaged_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    with pytest.raises(InputError, match=r"x\.png"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA"])
def test_opaque_8_bit_images_keep_their_colours(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (4, 3), (102, 102, 102)).convert(mode)  # a grey of the web palette
    image.save(tmp_path / "x.png")
    assert (read_rgb(tmp_path / "x.png") == np.full((3, 4, 3), 102, np.uint8)).all()


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("F", "tiff"), ("CMYK", "jpg"), ("I", "tiff")])
def test_other_kinds_of_pixels_are_refused(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.new(mode, (4, 3)).save(path)
    with pytest.raises(InputError, match=f"{path.name} has pixels of kind {mode}"):
        read_rgb(path)


def test_16_bit_colour_is_refused(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">3H", 300, 200, 100))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(InputError, match="RGB;16"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_refused(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (4, 3), (90, 90, 90, 255))
    image.putpixel((1, 1), (90, 90, 90, 254))
    image.convert(mode).save(tmp_path / "x.png", **({"transparency": 0} if mode == "P" else {}))
    with pytest.raises(InputError, match="transparent in places"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_rotation_in_the_header_is_applied(tmp_path: Path, suffix: str) -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}", exif=exif)
    assert (read_rgb(tmp_path / f"x.{suffix}") == np.rot90(pixels, -1)).all()


@pytest.mark.parametrize(
    ("kind", "name"), [("u1", "x.png"), ("u1", "x.bmp"), ("u2", "x.png"), ("u2", "x.tif")]
)
def test_labels_are_the_numbers_of_the_file(tmp_path: Path, kind: str, name: str) -> None:
    labels = np.arange(24, dtype=kind).reshape(4, 6)
    assert read_labels(save(tmp_path / name, Image.fromarray(labels))).tolist() == labels.tolist()


def test_labels_in_a_palette_are_its_numbers(tmp_path: Path) -> None:
    image = Image.fromarray(WIDE).quantize(8)
    assert np.array_equal(read_labels(save(tmp_path / "x.png", image)), np.asarray(image))


def test_labels_in_colour_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.png holds .*3 channel"):
        read_labels(save(tmp_path / "x.png", Image.fromarray(WIDE)))


@pytest.mark.parametrize("reader", [read, read_rgb, read_size])
def test_large_images_are_read_and_the_limit_of_the_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Any
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    reader(save(tmp_path / "x.png", Image.fromarray(WIDE)))
    assert Image.MAX_IMAGE_PIXELS == 100


def test_jpeg_of_twelve_bits_is_not_supported(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 16
    path = tmp_path / "x.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(deep, 90, bitspersample=12))
    with pytest.raises(InputError, match=r"x\.jpg is not supported: JPEG of 12 bits"):
        describe(path)


def test_lossless_jpeg_is_not_supported(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(imagecodecs.ljpeg_encode(RGB[..., 0].copy()))
    with pytest.raises(InputError, match=r"x\.jpg is not supported: .*lossless"):
        open_slide(path)


def test_a_palette_without_colours_is_a_sentence(cases: Path) -> None:
    with pytest.raises(InputError, match=r"palette_without_plte\.png is damaged"):
        describe(cases / "pixels" / "palette_without_plte.png")


@pytest.mark.parametrize("name", ["prov_hugeint.png", "prov_recursion.png"])
def test_a_provenance_record_beyond_the_bounds_is_left_out_with_a_remark(cases: Path, name: str) -> None:
    found = describe(cases / "metadata" / name)
    assert found.provenance is None
    assert "provenance record" in found.notes[0]


def test_a_provenance_record_is_shown_without_control_characters(cases: Path) -> None:
    record = describe(cases / "metadata" / "prov_escape.png").provenance
    assert str(record).isprintable()


def test_a_region_keeps_the_opacity(cases: Path) -> None:
    with open_slide(cases / "pixels" / "rgba.png") as slide:
        part, whole = slide.read_pixels((0, 0), (100, 90)), slide.read_pixels()
    assert part.alpha is not None
    assert whole.alpha is not None
    assert np.array_equal(part.alpha, whole.alpha[:90, :100])
    assert np.array_equal(part.colour, whole.colour[:90, :100])
