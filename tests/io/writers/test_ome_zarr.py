"""OME-Zarr as zarr and our own reader see it."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from histoscale.errors import OutputError
from histoscale.io.formats import describe
from histoscale.io.writers import ome_zarr
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import write_slide

SIZES = ((2101, 1301), (1051, 651), (526, 326))
ZSTD = Encoding("zstd", 90, tile_px=256)


def written(folder: Path, slide: OutputSlide, encoding: Encoding = ZSTD, overwrite: bool = False) -> Path:
    target = folder / "x.ome.zarr"
    write_slide(target, slide, encoding, folder / "scratch", overwrite)
    return target


@pytest.mark.parametrize("compression", ["zstd", "deflate", "none"])
def test_zarr_finds_the_levels(
    tmp_path: Path, finished_slide: OutputSlide, finished_levels: list[np.ndarray], compression: str
) -> None:
    group = zarr.open_group(
        written(tmp_path, finished_slide, Encoding(compression, 90, tile_px=256)), mode="r"
    )
    for level, (width, height) in enumerate(SIZES):
        array = group[str(level)]
        assert isinstance(array, zarr.Array)
        assert (array.shape, array.chunks, array.shards) == (
            (3, height, width),
            (1, 256, 256),
            (3, 1024, 1024),
        )
        assert np.array_equal(np.moveaxis(np.asarray(array[...]), 0, -1), finished_levels[level])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "x.ome.zarr"]


def test_the_metadata_are_those_of_version_0_5(tmp_path: Path, finished_slide: OutputSlide) -> None:
    group = zarr.open_group(written(tmp_path, finished_slide), mode="r")
    ome = group.attrs["ome"]
    assert group.metadata.zarr_format == 3
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert [(a["name"], a["type"], a.get("unit")) for a in multiscale["axes"]] == [
        ("c", "channel", None),
        ("y", "space", "micrometer"),
        ("x", "space", "micrometer"),
    ]
    assert [dataset["path"] for dataset in multiscale["datasets"]] == ["0", "1", "2"]
    scale, translation = multiscale["datasets"][2]["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": pytest.approx([1, 4 * 0.2600001, 4 * 0.25])}
    assert translation == {"type": "translation", "translation": pytest.approx([0, 0.39000015, 0.375])}
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["Red", "Green", "Blue"]
    assert group["0"].metadata.dimension_names == ("c", "y", "x")


def test_everything_else_is_carried_over(tmp_path: Path, finished_slide: OutputSlide) -> None:
    target = written(tmp_path, replace(finished_slide, size_xy=(1100, 90)))
    found = describe(target)
    assert found.levels_xy == ((1100, 90), (550, 45))
    assert (found.mpp, found.power, found.refusal) == ((0.25, 0.2600001), 40, None)
    assert found.provenance is not None
    assert found.provenance["note"] == "super-resolved, not for primary diagnosis"
    group = zarr.open_group(target, mode="r")
    assert base64.b64decode(group.attrs["icc_profile"]) == finished_slide.icc_profile
    label = np.asarray(group["associated/label/0"][...])
    assert np.array_equal(np.moveaxis(label, 0, -1), finished_slide.associated["label"])
    assert group["associated/label"].attrs["ome"]["multiscales"][0]["name"] == "label"


def test_unknown_micrometres_stay_unknown(tmp_path: Path, finished_slide: OutputSlide) -> None:
    record = replace(finished_slide.provenance, mpp=None, power=None)
    slide = replace(finished_slide, mpp=None, power=None, icc_profile=None, provenance=record)
    found = describe(written(tmp_path, slide))
    assert (found.mpp, found.power) == (None, None)


def test_one_pixel(tmp_path: Path, finished_slide: OutputSlide) -> None:
    assert describe(written(tmp_path, replace(finished_slide, size_xy=(1, 1)))).size_xy == (1, 1)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
def test_lossy_compressions_are_refused(
    tmp_path: Path, finished_slide: OutputSlide, compression: str
) -> None:
    with pytest.raises(OutputError, match=rf"x\.ome\.zarr.*{compression}.*zstd, deflate, none"):
        written(tmp_path, finished_slide, Encoding(compression, 90))
    assert list(tmp_path.iterdir()) == []


def test_an_older_one_is_replaced_whole(tmp_path: Path, finished_slide: OutputSlide) -> None:
    small = replace(finished_slide, size_xy=(100, 90))
    target = written(tmp_path, small)
    (target / "stale").write_bytes(b"")
    with pytest.raises(OutputError, match="exists already"):
        written(tmp_path, small)
    assert (target / "stale").exists()
    written(tmp_path, small, overwrite=True)
    assert not (target / "stale").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "x.ome.zarr"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path, finished_slide: OutputSlide) -> None:
    (tmp_path / "x.ome.zarr").mkdir()
    (tmp_path / "x.ome.zarr" / "thesis.txt").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"x\.ome\.zarr.*not Zarr"):
        written(tmp_path, finished_slide, overwrite=True)
    assert (tmp_path / "x.ome.zarr" / "thesis.txt").read_bytes() == b"mine"


def test_a_folder_that_reads_otherwise_is_not_kept(
    tmp_path: Path, finished_slide: OutputSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ome_zarr._write_level

    def lose_a_shard(array: zarr.Array, *arguments: object) -> None:
        write(array, *arguments)
        array[:, 1024:, 2048:] = 0

    monkeypatch.setattr(ome_zarr, "_write_level", lose_a_shard)
    with pytest.raises(OutputError, match=r"failed verification .* \(2048, 1024\) of level 0"):
        written(tmp_path, finished_slide)
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_a_full_disk(disk: Callable[[str], Path], finished_slide: OutputSlide) -> None:
    folder = disk("size=6m")
    with pytest.raises(OutputError, match=r"x\.ome\.zarr .*no space is left"):
        written(folder, finished_slide, Encoding("none", 90, tile_px=256))
    assert [path.name for path in folder.iterdir()] == ["scratch"]
    assert list((folder / "scratch").iterdir()) == []
