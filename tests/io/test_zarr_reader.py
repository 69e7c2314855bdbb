"""OME-Zarr of both versions, as folders that other programs write."""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr

from histoscale.errors import InputError
from histoscale.io.formats import describe, is_slide_folder, open_slide, read
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import write_slide
from histoscale.io.zarr_reader import ZarrSlide

PROFILE = bytes(16) + b"RGB " + bytes(108)
"""The header of an ICC profile of RGB."""
RGB = np.random.default_rng(0).integers(0, 256, (203, 301, 3), np.uint8)


def save(
    folder: Path, array: np.ndarray = RGB, axes: str = "yxc", version: str = "0.5", **options: Any
) -> Path:
    """Two levels; the scale is 0.5 along x and 0.6 along y."""
    zarr_format: Literal[2, 3] = 2 if version == "0.4" else 3
    group = zarr.create_group(folder, zarr_format=zarr_format)
    chunks = tuple(64 if axis in "yx" else side for axis, side in zip(axes, array.shape, strict=True))
    halving = tuple(slice(None, None, 2 if axis in "yx" else 1) for axis in axes)
    group.create_array("0", data=array, chunks=chunks, **options)
    group.create_array("1", data=array[halving].copy(), chunks=chunks, **options)
    kinds = {"t": {"type": "time"}, "c": {"type": "channel"}}
    space = {"type": "space", "unit": "micrometer"}
    sides = [{"x": 0.5, "y": 0.6}.get(axis, 1.0) for axis in axes]
    multiscale = {
        "axes": [{"name": axis, **kinds.get(axis, space)} for axis in axes],
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": sides}]},
            {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [2 * s for s in sides]}]},
        ],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [multiscale | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yxc", "cyx", "tczyx"])
def test_regions_are_slices_of_the_whole(tmp_path: Path, version: str, axes: str) -> None:
    array = RGB if axes == "yxc" else np.moveaxis(RGB, -1, 0)
    folder = save(tmp_path / "x.zarr", array if axes != "tczyx" else array[None, :, None], axes, version)
    assert np.array_equal(read(folder).colour, RGB)
    with open_slide(folder) as slide:
        assert isinstance(slide, ZarrSlide)
        assert slide.levels_xy == ((301, 203), (151, 102))
        assert slide.description.mpp == pytest.approx((0.5, 0.6))
        for x, y, w, h in [(0, 0, 301, 203), (5, 7, 1, 1), (60, 50, 70, 90), (290, 190, 11, 13)]:
            assert np.array_equal(slide.read_region(0, (x, y), (w, h)), RGB[y : y + h, x : x + w])
        assert np.array_equal(slide.read_region(1, (60, 50), (70, 40)), RGB[::2, ::2][50:90, 60:130])


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    with open_slide(save(tmp_path / "x.zarr", RGB[..., 0].copy(), "yx")) as slide:
        assert np.array_equal(slide.read_region(0, (9, 8), (70, 60)), RGB[8:68, 9:79, :1].repeat(3, axis=2))


def test_description(tmp_path: Path) -> None:
    folder = save(tmp_path / "x.ome.zarr", shards=(128, 128, 3), compressors=zarr.codecs.ZstdCodec())
    found = describe(folder / "zarr.json")
    assert (found.path, found.format, found.size_xy) == (folder, "OME-Zarr 0.5", (301, 203))
    assert (found.channels, found.bits, found.compression) == ("RGB", 8, "zstd")
    assert found.mpp_source == "OME-Zarr scale"
    assert is_slide_folder(folder)
    assert not is_slide_folder(tmp_path)


def test_an_image_within_the_layout_of_bioformats2raw(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "x.zarr", attributes={"ome": {"bioformats2raw.layout": 3}})
    save(tmp_path / "x.zarr" / "0")
    (tmp_path / "x.zarr" / "OME").mkdir()
    (tmp_path / "x.zarr" / "OME" / "METADATA.ome.xml").write_text(
        '<OME><Instrument><Objective NominalMagnification="40"/></Instrument><Image><Pixels/></Image></OME>'
    )
    found = describe(tmp_path / "x.zarr")
    assert (found.size_xy, found.power) == ((301, 203), 40)
    assert "power of 40 contradicts" in found.notes[0]


def test_a_scale_of_all_levels_multiplies_their_own(tmp_path: Path) -> None:
    folder = save(tmp_path / "x.zarr", version="0.4")
    group = zarr.open_group(folder)
    multiscale = group.attrs["multiscales"][0]  # type: ignore[index]
    scale = {"type": "scale", "scale": [10.0, 100.0, 1.0]}
    group.attrs["multiscales"] = [multiscale | {"coordinateTransformations": [scale]}]  # type: ignore[operator]
    assert describe(folder).mpp == pytest.approx((50, 6))


def test_a_scale_in_an_unknown_unit_is_ignored(tmp_path: Path) -> None:
    folder = save(tmp_path / "x.zarr")
    metadata = folder / "zarr.json"
    metadata.write_text(metadata.read_text().replace("micrometer", "furlong"))
    assert describe(folder).mpp is None
    assert "furlong" in describe(folder).notes[0]


@pytest.mark.parametrize(
    ("array", "axes", "sentence"),
    [
        (np.zeros((4, 9, 9), np.uint8), "cyx", "has 4 channels"),
        (np.zeros((3, 9, 9), np.uint8), "zyx", "holds 3 focal planes"),
        (np.zeros((2, 9, 9), np.uint8), "tyx", "holds 2 time points"),
        (np.zeros((9, 9), np.uint16), "yx", "has uint16 samples"),
    ],
)
def test_refusals(tmp_path: Path, array: np.ndarray, axes: str, sentence: str) -> None:
    folder = save(tmp_path / "x.zarr", array, axes)
    with pytest.raises(InputError, match=sentence):
        open_slide(folder)
    assert sentence in (describe(folder).refusal or "")


def test_a_zarr_folder_that_is_no_image(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "x.zarr")
    with pytest.raises(InputError, match="without OME-Zarr's multiscales"):
        open_slide(tmp_path / "x.zarr")


def test_metadata_that_name_a_missing_level(tmp_path: Path) -> None:
    shutil.rmtree(save(tmp_path / "x.zarr") / "1")
    with pytest.raises(InputError, match="is damaged or incomplete"):
        open_slide(tmp_path / "x.zarr")


def test_a_damaged_chunk_is_named_and_disturbs_no_other(tmp_path: Path) -> None:
    folder = save(tmp_path / "x.zarr", compressors=zarr.codecs.ZstdCodec(checksum=True))
    chunk = folder / "0" / "c" / "1" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[40:90] = bytes(50)
    chunk.write_bytes(content)
    with open_slide(folder) as slide:
        assert np.array_equal(slide.read_region(0, (0, 0), (64, 64)), RGB[:64, :64])
        with pytest.raises(InputError, match=r"in 20 x 10 px at \(60, 60\) of level 0: ") as damage:
            slide.read_region(0, (60, 60), (20, 10))
        assert str(damage.value).count(". ") == 0
        assert np.array_equal(slide.read_region(0, (128, 64), (64, 64)), RGB[64:128, 128:192])


def test_what_we_write_is_read(tmp_path: Path) -> None:
    record = Provenance("0.1.0", SUPER_RESOLVED, "a.svs", (4.0, 4.0), Mpp(0.25, 0.25), 40.0)
    label = RGB[:50, :70].copy()
    slide = OutputSlide(
        size_xy=(301, 203),
        read=lambda xy, size: RGB[xy[1] : xy[1] + size[1], xy[0] : xy[0] + size[0]],
        provenance=record,
        mpp=Mpp(0.25, 0.25),
        power=40.0,
        icc_profile=PROFILE,
        associated={"label": label},
    )
    write_slide(tmp_path / "x.zarr", slide, Encoding("zstd", 90, tile_px=64), tmp_path, overwrite=False)
    with open_slide(tmp_path / "x.zarr") as written:
        found = written.description
        assert np.array_equal(written.read_region(0, (9, 8), (60, 40)), RGB[8:48, 9:69])
        assert np.array_equal(written.associated_image("label"), label)
        with pytest.raises(InputError, match="no associated image 'macro'"):
            written.associated_image("macro")
    assert (found.mpp, found.power, found.icc_profile) == ((0.25, 0.25), 40, PROFILE)
    assert (found.associated, found.notes) == (("label",), ())
    assert (found.provenance or {})["note"] == SUPER_RESOLVED


# Channels, gaps and collections.


def with_channels(folder: Path, channels: list[dict[str, Any]], version: str = "0.5") -> Path:
    group = zarr.open_group(save(folder, np.moveaxis(RGB, -1, 0), "cyx", version))
    if version == "0.4":
        group.attrs["omero"] = {"channels": channels}
    else:
        group.attrs["ome"] = {**group.attrs["ome"], "omero": {"channels": channels}}  # type: ignore[dict-item]
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "channels",
    [
        [{"label": name} for name in ("Blue", "Green", "Red")],
        [{"label": name, "color": "FFFFFF"} for name in "BGR"],
        [{"label": f"Channel {n}", "color": c} for n, c in enumerate(("0000ff", "00FF00", "#FF0000"))],
        [{"color": c} for c in ("0000FF", "00FF00", "FF0000")],
    ],
)
def test_channels_are_put_in_order(tmp_path: Path, channels: list[dict[str, Any]], version: str) -> None:
    with open_slide(with_channels(tmp_path / "x.zarr", channels, version)) as slide:
        assert np.array_equal(slide.read_region(0, (9, 8), (60, 40)), RGB[8:48, 9:69, ::-1])
        assert np.array_equal(slide.read_pixels().colour, RGB[..., ::-1])
        assert "red, green, blue" in slide.description.notes[0]


@pytest.mark.parametrize(
    "channels",
    [
        [{"label": name} for name in ("Red", "Green", "Blue")],
        [{"label": "", "color": "FFFFFF"}] * 3,
        [{"label": str(n)} for n in range(3)],
        [{"label": f"Brightfield_{n}"} for n in range(3)],
        [{"label": "Red"}],
        ["odd", 7, None],
    ],
)
def test_channels_that_are_in_order(tmp_path: Path, channels: list[Any]) -> None:
    folder = with_channels(tmp_path / "x.zarr", channels)
    assert np.array_equal(read(folder).colour, RGB)
    assert describe(folder).notes == ()


@pytest.mark.parametrize("labels", [("DAPI", "FITC", "TRITC"), ("CD3", "CD8", "CK"), ("Red", "Green", "Cy5")])
def test_stains_are_not_red_green_and_blue(tmp_path: Path, labels: tuple[str, ...]) -> None:
    colours = ("FF0000", "00FF00", "0000FF")
    channels = [{"label": label, "color": colour} for label, colour in zip(labels, colours, strict=True)]
    with pytest.raises(InputError, match=r"x\.zarr names channels"):
        open_slide(with_channels(tmp_path / "x.zarr", channels))


def test_cases_of_channels(cases: Path) -> None:
    with pytest.raises(InputError, match=r"fluo_omero\.zarr names channels"):
        read(cases / "pixels" / "fluo_omero.zarr")
    red, _, blue = read(cases / "pixels" / "bgr_omero.zarr").colour.mean((0, 1))
    assert red > blue > 150


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yxc", "cyx", "yx"])
def test_missing_chunks_are_white_in_every_path(tmp_path: Path, version: str, axes: str) -> None:
    array = {"yxc": RGB, "cyx": np.moveaxis(RGB, -1, 0), "yx": RGB[..., 0].copy()}[axes].copy()
    gap = tuple(slice(64, 128) if axis in "yx" else slice(None) for axis in axes)
    array[gap] = 0  # a chunk of black is not stored
    with open_slide(save(tmp_path / "x.zarr", array, axes, version)) as slide:
        for found in (slide.read_region(0, (0, 0), (301, 203)), slide.read_pixels().colour):
            assert (found[64:128, 64:128] == 255).all()
            assert np.array_equal(
                found[:64],
                np.broadcast_to(RGB if "c" in axes else RGB[..., :1], RGB.shape)[:64, :, : found.shape[2]],
            )


def test_one_channel_without_a_chunk_is_black(tmp_path: Path) -> None:
    red = np.moveaxis(RGB, -1, 0).copy()
    red[1:, 64:128, 64:128] = 0
    assert np.array_equal(read(save(tmp_path / "x.zarr", red, "cyx")).colour, np.moveaxis(red, 0, -1))


def test_black_that_is_written_stays_black(tmp_path: Path) -> None:
    black = OutputSlide(
        size_xy=(100, 80),
        read=lambda xy, size: np.zeros((size[1], size[0], 3), np.uint8),
        provenance=Provenance("0.1.0", SUPER_RESOLVED, "a.svs", (4.0, 4.0)),
        associated={"label": np.zeros((9, 9, 3), np.uint8)},
    )
    write_slide(tmp_path / "x.zarr", black, Encoding("zstd", 90, tile_px=64), tmp_path, overwrite=False)
    assert not read(tmp_path / "x.zarr").colour.any()
    with open_slide(tmp_path / "x.zarr") as slide:
        assert not slide.associated_image("label").any()


def test_grey_stays_one_channel(tmp_path: Path) -> None:
    folder = save(tmp_path / "x.zarr", RGB[..., 0].copy(), "yx")
    assert np.array_equal(read(folder).colour, RGB[..., :1])


def collection(folder: Path, sides: list[int], names: list[str]) -> Path:
    """Square series as bioformats2raw writes them, with their names in OME-XML."""
    zarr.create_group(folder, attributes={"ome": {"bioformats2raw.layout": 3}})
    for number, side in enumerate(sides):
        save(folder / str(number), RGB[:side, :side].copy())
    (folder / "OME").mkdir()
    images = "".join(f"<Image Name='{name}'><Pixels/></Image>" for name in names)
    (folder / "OME" / "METADATA.ome.xml").write_text(f"<OME>{images}</OME>")
    return folder


def test_the_largest_series_is_the_slide(tmp_path: Path) -> None:
    folder = collection(tmp_path / "x.zarr", [70, 200, 30], ["macro image", "scan", "label image"])
    with open_slide(folder) as slide:
        assert slide.levels_xy[0] == (200, 200)
        assert np.array_equal(slide.read_region(0, (0, 0), (200, 200)), RGB[:200, :200])
        assert set(slide.description.associated) == {"macro image", "label image"}
        assert np.array_equal(slide.associated_image("label image"), RGB[:30, :30])
    assert [word for word in ("'scan'", "macro", "label") if word not in slide.description.notes[0]] == []


def test_a_second_slide_in_a_collection_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.io.zarr_metadata.MOST_ASSOCIATED_PX", 2000)
    found = describe(collection(tmp_path / "x.zarr", [200, 190, 30], ["one", "two", "label image"]))
    assert found.associated == ("label image",)
    assert "'two' (190 x 190 px)" in found.notes[0]


def test_a_plate_is_not_a_slide(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "x.zarr", attributes={"ome": {"plate": {}}})
    with pytest.raises(InputError, match="plate"):
        open_slide(tmp_path / "x.zarr")


def test_a_damaged_profile_is_left_out_with_a_remark(tmp_path: Path) -> None:
    group = zarr.open_group(save(tmp_path / "x.zarr"))
    group.attrs["icc_profile"] = "abc"
    found = describe(tmp_path / "x.zarr")
    assert found.icc_profile is None
    assert "ICC profile" in found.notes[0]


@pytest.mark.parametrize("name", ["..", "../../elsewhere"])
def test_names_of_associated_images_stay_within_the_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = zarr.open_group(save(tmp_path / "x.zarr"))
    group.create_group("associated/label")
    monkeypatch.setattr(zarr.Group, "group_keys", lambda self: iter(["label", name]))
    assert describe(tmp_path / "x.zarr").associated == ("label",)


@pytest.mark.parametrize("unit", ["micron", "micrometre", "µm", "Micrometers"])
def test_units_in_other_spellings(tmp_path: Path, unit: str) -> None:
    folder = save(tmp_path / "x.zarr")
    metadata = folder / "zarr.json"
    metadata.write_text(metadata.read_text().replace("micrometer", unit))
    assert describe(folder).mpp == pytest.approx((0.5, 0.6))


def test_chunks_larger_than_memory_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "x.zarr")
    monkeypatch.setattr("histoscale.resources.available_bytes", lambda: 10_000)
    with open_slide(folder) as slide, pytest.raises(InputError, match="chunks"):
        slide.read_region(0, (0, 0), (5, 5))
