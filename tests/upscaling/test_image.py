"""One image from file to file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from histoscale.errors import HistoscaleError, InputError, OutputError, ScaleError, WeightsError
from histoscale.io.formats import describe, read
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.image import resize, super_resolve, upscale_image
from histoscale.upscaling.options import Options


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_every_format(source: Path, rgb: np.ndarray, engine: Engine, suffix: str) -> None:
    target = source.with_name("b" + suffix)
    outcome = upscale_image(source, target, Options(scale=2.7), engine)
    found = read(target)
    wanted = super_resolve(rgb, (108, 162), engine)
    assert abs(found.colour.astype(int) - wanted).mean() < (3 if suffix == ".jpg" else 1e-9)
    assert describe(target).mpp == pytest.approx((0.5 / 2.7, 0.5 / 2.7), rel=1e-6)
    record = describe(target).provenance
    assert record is not None
    assert record["model"] == "small"
    assert record["weights_sha256"] == engine.card.sha256
    assert record["scale"] == [2.7, 2.7]
    assert record["note"] == "super-resolved, not for primary diagnosis"
    assert outcome.line().startswith(
        f"a.png 60 x 40 (0.5 um/px) -> {target} 162 x 108 (0.185 um/px), small fp32, "
    )
    assert outcome.line().endswith(" MP/s")


def test_a_scale_below_one_is_bicubic_and_recorded_so(source: Path, rgb: np.ndarray) -> None:
    target = source.with_name("b.png")
    outcome = upscale_image(source, target, Options(scale=0.5), Engine("nobody"))
    found = read(target)
    assert np.array_equal(found.colour, resize(rgb, (20, 30)))
    assert describe(target).mpp == pytest.approx((1, 1), rel=1e-6)
    assert describe(target).provenance is not None
    assert describe(target).provenance["note"] == "reduced by antialiased bicubic, no model"
    assert "model" not in describe(target).provenance
    assert "antialiased bicubic, no model" in outcome.line()


def test_one_changes_no_pixel(source: Path, rgb: np.ndarray) -> None:
    outcome = upscale_image(source, source.with_name("b.png"), Options(scale=1), Engine("nobody"))
    assert np.array_equal(read(outcome.target).colour, rgb)
    assert "pixels unchanged, no model" in outcome.line()


def test_one_side_may_grow_while_the_other_shrinks(source: Path, rgb: np.ndarray, engine: Engine) -> None:
    outcome = upscale_image(source, source.with_name("b.png"), Options(size_xy=(120, 20)), engine)
    wanted = resize(super_resolve(rgb, (40, 120), engine), (20, 120))
    assert np.array_equal(read(outcome.target).colour, wanted)
    assert "aspect ratio" in outcome.remarks[0]


def test_alpha_is_resized_beside_the_colours(tmp_path: Path, rgb: np.ndarray, engine: Engine) -> None:
    alpha = rgb[..., 1]
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "a.png")
    upscale_image(tmp_path / "a.png", tmp_path / "b.webp", Options(scale=2), engine)
    found = read(tmp_path / "b.webp")
    assert np.array_equal(found.alpha, resize(alpha[..., None], (80, 120))[..., 0])
    assert np.array_equal(found.colour, super_resolve(rgb, (80, 120), engine))


def test_alpha_does_not_go_into_a_jpeg(tmp_path: Path, rgb: np.ndarray) -> None:
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"b\.jpg would lose its transparency"):
        upscale_image(tmp_path / "a.png", tmp_path / "b.jpg", Options(scale=2), Engine("nobody"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_grey_stays_grey(tmp_path: Path, rgb: np.ndarray, engine: Engine) -> None:
    Image.fromarray(rgb[..., 0]).save(tmp_path / "a.png")
    upscale_image(tmp_path / "a.png", tmp_path / "b.png", Options(scale=2), engine)
    assert read(tmp_path / "b.png").colour.shape == (80, 120, 1)


@pytest.mark.parametrize("name", ["b.png", "b.tif", "b.jpg", "b.webp"])
def test_the_profile_goes_along(tmp_path: Path, rgb: np.ndarray, name: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(rgb).save(tmp_path / "a.png", icc_profile=profile)
    upscale_image(tmp_path / "a.png", tmp_path / name, Options(scale=0.5), Engine("nobody"))
    assert describe(tmp_path / name).icc_profile == profile


def test_rotation_comes_out_upright(tmp_path: Path, rgb: np.ndarray) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    outcome = upscale_image(tmp_path / "a.png", tmp_path / "b.png", Options(scale=0.5), Engine("nobody"))
    assert outcome.after_xy == (20, 30)
    assert np.array_equal(read(tmp_path / "b.png").colour, resize(np.rot90(rgb, -1).copy(), (30, 20)))


def test_one_pixel(tmp_path: Path, engine: Engine) -> None:
    Image.new("RGB", (1, 1), (200, 100, 150)).save(tmp_path / "a.png")
    upscale_image(tmp_path / "a.png", tmp_path / "b.png", Options(scale=3), engine)
    assert read(tmp_path / "b.png").colour.shape == (3, 3, 3)


def test_source_mpp_overrides_the_metadata_with_a_remark(source: Path) -> None:
    outcome = upscale_image(
        source, source.with_name("b.png"), Options(mpp=0.5, source_mpp=0.25), Engine("nobody")
    )
    assert outcome.after_xy == (30, 20)
    assert outcome.remarks == ("--source-mpp 0.25 overrides the 0.5 of its PNG pHYs density",)


def test_an_ignored_density_gives_a_remark(tmp_path: Path, rgb: np.ndarray) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.png", dpi=(96, 96))
    outcome = upscale_image(tmp_path / "a.png", tmp_path / "b.png", Options(scale=0.5), Engine("nobody"))
    assert "not a microscope's" in outcome.remarks[0]
    assert outcome.mpp_after is None
    assert "um/px unknown" in outcome.line()


def test_a_scale_outside_the_trained_range_gives_a_remark(source: Path, engine: Engine) -> None:
    outcome = upscale_image(source, source.with_name("b.png"), Options(scale=5), engine)
    assert outcome.remarks == ("x5 is outside the range x1 to x4 that small was trained for",)
    outcome = upscale_image(source, source.with_name("c.png"), Options(scale=4.001), engine)
    assert outcome.remarks == ()


def test_both_axes_are_held_against_the_trained_range(source: Path, engine: Engine) -> None:
    narrow = replace(engine)
    vars(narrow)["card"] = engine.card.model_copy(update={"scales": (1.25, 4)})
    target, range_ = source.with_name("b.png"), "outside the range x1.25 to x4 that small was trained for"
    outcome = upscale_image(source, target, Options(scale=1.1), narrow)
    assert outcome.remarks == (f"x1.1 is {range_}",)
    outcome = upscale_image(source, target, Options(size_xy=(63, 240), overwrite=True), narrow)
    assert outcome.remarks[1] == f"x1.05 and x6 are {range_}"


def test_a_super_resolved_source_gives_a_remark(source: Path, engine: Engine) -> None:
    first, second = source.with_name("b.png"), source.with_name("c.png")
    assert upscale_image(source, first, Options(scale=2), engine).remarks == ()
    outcome = upscale_image(first, second, Options(scale=2), engine)
    assert "super-resolved before" in outcome.remarks[0]
    record = describe(second).provenance
    assert record is not None
    assert record["earlier"]["source"] == "a.png"


@pytest.mark.parametrize(
    ("name", "fields", "error", "sentence"),
    [
        ("b.gif", {"scale": 2}, OutputError, "no suffix that can be written"),
        ("b.webp", {"scale": 300}, OutputError, "WebP holds at most 16383 px a side"),
        ("b.jpg", {"scale": 1100}, OutputError, "JPEG holds at most 65500 px a side"),
        ("b.png", {"scale": 1e6}, OutputError, "memory"),
        ("b.png", {"scale": 2}, WeightsError, "no weights named nobody"),
        ("b.png", {"scale": 0.001}, ScaleError, "less than one pixel"),
        ("b.png", {"mpp": 0.25, "source_mpp": -1.0}, ScaleError, "--source-mpp must be positive"),
    ],
)
def test_refusals_leave_nothing(
    source: Path, name: str, fields: dict[str, Any], error: type[HistoscaleError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        upscale_image(source, source.with_name(name), Options(**fields), Engine("nobody"))
    assert list(source.parent.iterdir()) == [source]


def test_a_damaged_source(source: Path) -> None:
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged or incomplete"):
        upscale_image(source, source.with_name("b.png"), Options(scale=2), Engine("nobody"))
    assert list(source.parent.iterdir()) == [source]


def test_an_interrupt_leaves_nothing(source: Path, engine: Engine) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_image(source, source.with_name("b.png"), Options(scale=2), engine, stop)
    assert list(source.parent.iterdir()) == [source]


def test_a_small_output_is_read_from_a_lower_level(tmp_path: Path) -> None:
    pyramid = tmp_path / "p.tif"
    with tifffile.TiffWriter(pyramid) as tiff:
        for side, grey in ((2048, 50), (1024, 100), (512, 200)):
            pixels = np.full((side, side, 3), grey, np.uint8)
            kind = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
            tiff.write(
                pixels, **kind, subfiletype=int(side < 2048), **({"subifds": 2} if side == 2048 else {})
            )
    for scale, grey in ((0.7, 50), (0.5, 100), (0.3, 100), (0.2, 200)):
        target = tmp_path / f"{scale}.png"
        outcome = upscale_image(pyramid, target, Options(scale=scale), Engine("nobody"))
        assert outcome.method == "antialiased bicubic, no model"
        found = read(target).colour
        assert found.shape[:2] == (round(2048 * scale),) * 2
        assert (found == grey).all()


def test_a_slide_as_image_is_its_level_0(data_root: Path, tmp_path: Path) -> None:
    slide = data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs"
    outcome = upscale_image(slide, tmp_path / "b.tif", Options(magnification=10), Engine("nobody"))
    assert outcome.after_xy == (1110, 1484)
    found = describe(tmp_path / "b.tif")
    assert found.mpp == pytest.approx((0.499 * 2220 / 1110, 0.499 * 2967 / 1484))
    assert found.power == pytest.approx(10, rel=1e-3)


# uint8 in, uint8 out.


def test_the_model_computes_larger_sizes(engine: Engine, rgb: np.ndarray) -> None:
    image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        wanted = engine.model(image, (97, 162)).clamp(0, 1).mul(255).round()[0].permute(1, 2, 0).numpy()
    found = super_resolve(rgb, (97, 162), engine)
    assert abs(found - wanted).max() <= 1
    assert abs(found - resize(rgb, (97, 162)).astype(float)).max() > 3


def test_grey_is_the_mean_of_equal_channels(engine: Engine, rgb: np.ndarray) -> None:
    grey = rgb[..., :1].copy()
    colours = super_resolve(np.repeat(grey, 3, axis=2), (80, 120), engine).astype(float)
    found = super_resolve(grey, (80, 120), engine)
    assert found.shape == (80, 120, 1)
    assert abs(found[..., 0] - colours.mean(axis=2)).max() <= 1


def test_tiles_do_not_show(engine: Engine, rgb: np.ndarray) -> None:
    whole = super_resolve(rgb, (108, 162), engine).astype(int)
    tiled = super_resolve(rgb, (108, 162), replace(engine, tile_px=16))
    assert abs(tiled - whole).max() <= 1


def test_progress_ends_at_all_pixels(engine: Engine, rgb: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    super_resolve(rgb, (80, 120), replace(engine, tile_px=16), lambda done, total: seen.append((done, total)))
    assert len(seen) > 4
    assert seen[-1] == (80 * 120, 80 * 120)


@pytest.mark.parametrize("channels", [1, 3])
def test_resize_is_pillows_bicubic(rgb: np.ndarray, channels: int) -> None:
    pixels = rgb[..., :channels].copy()
    flat = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    wanted = np.asarray(flat.resize((25, 17), Image.Resampling.BICUBIC)).reshape(17, 25, channels)
    assert np.array_equal(resize(pixels, (17, 25)), wanted)
