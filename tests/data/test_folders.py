"""Finding images in folders and manifests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.data.folders import find_images, read_rgb
from histoscale.errors import DataError


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rows = ["set,split,id,file,mpp"]
    for number, (name, split) in enumerate([("a", "train"), ("a", "test"), ("b", "train")]):
        Image.new("RGB", (4, 3), (number, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append(f"{name},{split},{number},{number}.png,0.25")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    return tmp_path


def test_manifest_selects_by_set_and_split(manifest: Path) -> None:
    assert [r.id for r in find_images(manifest)] == ["0", "1", "2"]
    assert [r.id for r in find_images(manifest, split="train")] == ["0", "2"]
    assert [r.id for r in find_images(manifest, ["a"], "train")] == ["0"]
    assert find_images(manifest)[0].mpp == "0.25"


@pytest.mark.parametrize(
    ("sets", "split", "message"),
    [
        (["c"], "", "no set c; it has a, b"),
        ([], "val", "no split val; it has"),
        (["b"], "test", "no image of"),
    ],
)
def test_what_the_manifest_lacks_is_named(manifest: Path, sets: list[str], split: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_images(manifest, sets, split)


def test_folder_without_manifest_lists_pictures_only(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [r.id for r in find_images(tmp_path)] == ["a", "b"]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none at"):
        find_images(tmp_path)
    with pytest.raises(DataError, match="found none at"):
        find_images(tmp_path / "missing.png")


def test_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("set,id,file\n")
    with pytest.raises(DataError, match="lacks the column"):
        find_images(tmp_path)


def test_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    with pytest.raises(DataError, match=r"x\.png"):
        read_rgb(tmp_path / "x.png")


def test_pixels_of_the_bundle_are_those_of_its_manifest(data_root: Path) -> None:
    import hashlib

    record = find_images(data_root, ["monuseg"], "val")[0]
    pixels = read_rgb(record.path)
    assert pixels.dtype == np.uint8
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == record.sha256
