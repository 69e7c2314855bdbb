"""Descriptions of files and of the shipped weights."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageCms

from histoscale import weights
from histoscale.info import info, info_json, info_rows, metric_table, model_row, profile_name, shipped_cards


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, dpi=(50_800, 50_800), icc_profile=profile)
    return path


def test_rows_of_an_image(image: Path) -> None:
    rows = dict(info_rows(info(image)))
    assert rows["size"] == "60 x 40 px (0.0024 MP)"
    assert rows["mpp"] == "0.5 um/px (PNG pHYs density)"
    assert rows["extent"] == "0.03 x 0.02 mm"
    assert rows["power"] == "unknown"
    assert rows["profile"].startswith("sRGB")
    assert "upscale" not in rows


def test_rows_say_why_upscale_refuses(tmp_path: Path) -> None:
    Image.new("CMYK", (6, 4)).save(tmp_path / "a.jpg")
    rows = dict(info_rows(info(tmp_path / "a.jpg")))
    assert rows["upscale"].startswith("refused: it is in CMYK")
    assert rows["mpp"] == "unknown"


def test_json_holds_the_same(image: Path) -> None:
    record = json.loads(info_json(info(image)))
    assert record["size"] == [60, 40]
    assert record["mpp"] == pytest.approx([0.5, 0.5], rel=1e-6)
    assert record["levels"] == [[60, 40]]
    assert record["refusal"] is None


def test_a_real_slide(data_root: Path) -> None:
    rows = dict(info_rows(info(data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs")))
    assert rows["mpp"] == "0.499 um/px (slide metadata)"
    assert rows["power"] == "20x"
    assert rows["associated"] == "label, macro, thumbnail"


def test_a_folder_that_is_a_slide(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "x.zarr", zarr_format=3)
    group.create_array("0", data=np.zeros((40, 60), np.uint8))
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    found = info(tmp_path / "x.zarr")
    files = [path for path in (tmp_path / "x.zarr").rglob("*") if path.is_file()]
    assert json.loads(info_json(found))["bytes"] == sum(path.stat().st_size for path in files) > 0
    rows = dict(info_rows(found))
    assert rows["format"] == "OME-Zarr 0.5"
    assert rows["mpp"] == "0.5 um/px (OME-Zarr scale)"


def test_a_contradiction_is_noted(tmp_path: Path) -> None:
    text = "Aperio Image|AppMag = 20|MPP = 0.25"
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((40, 60), np.uint8), description=text, metadata=None)
    rows = dict(info_rows(info(tmp_path / "x.tif")))
    assert rows["note"] == "the objective power of 20 contradicts 0.25 um/px, which is that of 40x"


def test_a_damaged_profile_is_described_as_unreadable() -> None:
    assert profile_name(b"nonsense") == "unreadable (8 bytes)"
    assert profile_name(None) is None


def test_models_come_from_their_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    card = weights.Card(
        name="small",
        architecture=weights.Architecture(name="iste", arguments={"encoder": "edsr", "keys": "queries"}),
        parameters=430_000,
        sha256="ab" * 32,
        stored="bf16",
        data=(
            weights.DataSource(set="glas", split="train", licence="research only"),
            weights.DataSource(set="tcga", split="val", licence="CC0"),
        ),
        licence="research only",
        recipe={},
        code_version="1.0",
        created=datetime.now(UTC),
        metrics={
            "test glas x2 B gain_db": 1.234,
            "test glas x3.3 B gain_db": 7,
            "test glas x4 B psnr_db": 30.1,
            "test glas x4 none gain_db": 9,
            "test monuseg, FFPE x4 B gain_db": -0.5,
            "megapixels": 3,
        },
        limits=(),
        scales=(1, 4),
    )
    monkeypatch.setattr(weights, "shipped", lambda: ["small"])
    monkeypatch.setattr(weights, "card", lambda name: card)
    (found,) = shipped_cards()
    row = model_row(found)
    assert row.model == "small (encoder=edsr, keys=queries)"
    assert row.parameters == "0.43 M, bf16"
    assert row.range == "x1 to x4"
    assert row.data == "glas train (research only); tcga val (CC0)"
    assert metric_table([found]) == [
        ["Model", "dB above bicubic (degradation B)", "x2", "x3", "x4"],
        ["small", "test glas", "+1.23", "", ""],
        ["small", "test monuseg, FFPE", "", "", "-0.50"],
    ]
    assert len(metric_table([found.model_copy(update={"metrics": {}})])) == 1
