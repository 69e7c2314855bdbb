"""What is written is read back: pixels, opacity, micrometres, profile, provenance."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image, ImageCms

from histoscale.errors import OutputError
from histoscale.io.formats import describe, read
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import OutputImage
from histoscale.io.writers.formats import refuse_impossible_image, write_image

RGB = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (30, 50), np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = ["x.png", "x.webp", "x.tif", "x.TIFF"]
MPP = Mpp(0.18475, 0.19)


def output(pixels: np.ndarray = RGB, alpha: np.ndarray | None = None, mpp: Mpp | None = MPP) -> OutputImage:
    record = Provenance("1.0", SUPER_RESOLVED, "a.png", (2.7, 2.7), mpp, 54, "iste-fast", "ab" * 32, "fp32")
    return OutputImage(pixels, alpha, PROFILE if pixels.shape[2] == 3 else None, record)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_lossless_formats(tmp_path: Path, name: str, alpha: np.ndarray | None) -> None:
    write_image(tmp_path / name, output(alpha=alpha))
    found = read(tmp_path / name)
    assert np.array_equal(found.colour, RGB)
    assert (found.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(found.alpha, alpha)
    assert describe(tmp_path / name).icc_profile == PROFILE


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.jpg"])
def test_grey_is_written_as_grey(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, output(RGB[..., :1].copy()))
    found = read(tmp_path / name)
    assert describe(tmp_path / name).channels == "grey"
    assert name == "x.jpg" or np.array_equal(found.colour, RGB[..., :1])


def test_jpeg_is_close_and_quality_counts(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    write_image(tmp_path / "x.jpg", output(smooth))
    assert abs(read(tmp_path / "x.jpg").colour.astype(int) - smooth).mean() < 2
    write_image(tmp_path / "y.jpg", output(smooth), quality=20)
    assert (tmp_path / "y.jpg").stat().st_size < (tmp_path / "x.jpg").stat().st_size


@pytest.mark.parametrize("name", [*LOSSLESS, "x.jpg"])
def test_micrometres_and_provenance(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, output())
    description = describe(tmp_path / name)
    assert description.mpp == MPP
    assert description.power == 54
    assert description.provenance is not None
    assert description.provenance["note"] == "super-resolved, not for primary diagnosis"
    assert description.provenance["weights_sha256"] == "ab" * 32


def test_other_programs_read_the_png(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", output())
    info = Image.open(tmp_path / "x.png").info
    assert info["dpi"] == pytest.approx([25_400 / side for side in MPP], rel=1e-6)
    assert info["Software"] == "histoscale 1.0"
    assert json.loads(info["Description"])["model"] == "iste-fast"


def test_other_programs_read_the_jpeg(tmp_path: Path) -> None:
    write_image(tmp_path / "x.jpg", output())
    image = Image.open(tmp_path / "x.jpg")
    assert image.info["jfif_unit"] == 2
    assert image.info["jfif_density"] == tuple(round(10_000 / side) for side in MPP)
    assert float(image.getexif()[282]) == pytest.approx(10_000 / MPP.x, rel=1e-6)


def test_a_density_beyond_jfif_is_in_exif_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "x.jpg", output(mpp=Mpp(0.1, 0.1)))
    image = Image.open(tmp_path / "x.jpg")
    assert image.info["jfif_unit"] == 0
    assert float(image.getexif()[282]) == pytest.approx(100_000)


def test_other_programs_read_the_tiff(tmp_path: Path) -> None:
    write_image(tmp_path / "x.tif", output(np.tile(RGB, (20, 20, 1))))
    page = tifffile.TiffFile(tmp_path / "x.tif").pages.first
    assert page.get_resolution("micrometer") == pytest.approx([1 / side for side in MPP], rel=1e-6)
    with openslide.OpenSlide(tmp_path / "x.tif") as slide:
        assert slide.dimensions == (1000, 600)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(MPP.x, rel=1e-6)


@pytest.mark.parametrize("name", [*LOSSLESS, "x.jpg"])
@pytest.mark.parametrize("side", [1e-3, 1e3])
def test_strange_micrometres_are_in_the_record_at_least(tmp_path: Path, name: str, side: float) -> None:
    write_image(tmp_path / name, output(mpp=Mpp(side, side)))
    assert describe(tmp_path / name).mpp == (side, side)


@pytest.mark.parametrize("name", [*LOSSLESS, "x.jpg"])
def test_unknown_micrometres_stay_unknown(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, output(mpp=None))
    description = describe(tmp_path / name)
    assert (description.mpp, description.notes) == (None, ())


@pytest.mark.parametrize("name", [*LOSSLESS, "x.jpg"])
def test_one_pixel(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, output(RGB[:1, :1].copy()))
    assert read(tmp_path / name).colour.shape == (1, 1, 3)


def test_opaque_alpha_goes_into_a_jpeg(tmp_path: Path) -> None:
    write_image(tmp_path / "x.jpg", output(alpha=np.full_like(ALPHA, 255)))
    assert read(tmp_path / "x.jpg").alpha is None


def test_transparency_does_not(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"x\.jpg would lose its transparency"):
        write_image(tmp_path / "x.jpg", output(alpha=ALPHA))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "side"), [("x.webp", 16_384), ("x.jpg", 65_501), ("x.png", 2**31)])
def test_sides_beyond_the_format(name: str, side: int) -> None:
    with pytest.raises(OutputError, match=r"at most \d+ px a side"):
        refuse_impossible_image(Path(name), (10, side), has_transparency=False)
    refuse_impossible_image(Path(name), (10, side - 1), has_transparency=False)


def test_the_profile_of_grey_is_not_kept_for_colours(tmp_path: Path) -> None:
    """WebP has no grey, and its pixels become RGB."""
    grey = output(RGB[..., :1].copy())
    profile = bytearray(PROFILE)
    profile[16:20] = b"GRAY"
    for name, kept in (("x.webp", None), ("x.png", bytes(profile))):
        write_image(tmp_path / name, replace(grey, icc_profile=bytes(profile)))
        assert describe(tmp_path / name).icc_profile == kept


@pytest.mark.parametrize("name", [*LOSSLESS, "x.jpg"])
def test_a_full_disk(disk: Callable[[str], Path], name: str) -> None:
    folder = disk("size=64k")
    noise = np.random.default_rng(2).integers(0, 256, (400, 300, 3), np.uint8)
    with pytest.raises(OutputError, match="no space is left on the disk"):
        write_image(folder / name, output(noise))
    assert list(folder.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        write_image(tmp_path / "x.png", output())
    assert (tmp_path / "x.png").read_bytes() == b"old"
    write_image(tmp_path / "x.png", output(), overwrite=True)
    assert np.array_equal(read(tmp_path / "x.png").colour, RGB)
