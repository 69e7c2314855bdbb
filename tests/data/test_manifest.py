"""Finding images in folders and manifests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.data.manifest import find_images
from histoscale.errors import DataError
from histoscale.io.image_reader import read_rgb


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
def test_a_set_or_split_that_does_not_exist_is_named(
    manifest: Path, sets: list[str], split: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_images(manifest, sets, split)


def test_folder_without_manifest_lists_only_images(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert [r.id for r in find_images(tmp_path)] == ["a", "b"]


def test_folders_called_after_splits_are_splits(tmp_path: Path) -> None:
    for folder in ("histosr/train", "histosr/test/deeper", "tma/train", "notes"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(tmp_path / folder / "a.png")
    both = find_images(tmp_path, split="train")
    assert [(r.set, r.split, r.id) for r in both] == [("histosr", "train", "a"), ("tma", "train", "a")]
    assert [r.path.parent.name for r in find_images(tmp_path, ["histosr"], "test")] == ["deeper"]
    assert [r.set for r in find_images(tmp_path / "histosr", split="test")] == ["histosr"]
    assert len(find_images(tmp_path)) == 4
    with pytest.raises(DataError, match=r"histosr has no split val; it has test, train\."):
        find_images(tmp_path / "histosr", split="val")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        find_images(tmp_path)
    with pytest.raises(DataError, match=r"missing\.png does not exist"):
        find_images(tmp_path / "missing.png")


def test_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("set,id,file\n")
    with pytest.raises(DataError, match="lacks the column"):
        find_images(tmp_path)


def test_pixels_of_the_bundle_are_those_of_its_manifest(data_root: Path) -> None:
    import hashlib

    record = find_images(data_root, ["monuseg"], "val")[0]
    pixels = read_rgb(record.path)
    assert pixels.dtype == np.uint8
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == record.sha256


def test_excels_byte_order_mark_is_not_part_of_a_column(manifest: Path) -> None:
    path = manifest / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [r.id for r in find_images(manifest)] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,file,set,split\n\xfc,a.png,s,test\n", r"manifest\.csv, line 2 is not in UTF-8"),
        (b"id,file,set,split\nb,a.png,s,test\na\n", r"manifest\.csv, line 3: .*column file"),
    ],
)
def test_a_damaged_manifest_is_named_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        find_images(tmp_path)


def test_hidden_files_folders_and_broken_links_are_no_images(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", "__MACOSX/b.png", ".ipynb_checkpoints/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name, "PNG")
    (tmp_path / "old.png").mkdir()
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    assert [r.path.name for r in find_images(tmp_path)] == ["a.png"]
