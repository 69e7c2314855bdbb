"""Finding images in folders and manifests."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.data.manifest import find_images, read_rgb
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


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        find_images(tmp_path)
    with pytest.raises(DataError, match="holds no images"):
        find_images(tmp_path / "missing.png")


def test_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("set,id,file\n")
    with pytest.raises(DataError, match="lacks the column"):
        find_images(tmp_path)


def test_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    with pytest.raises(DataError, match=r"x\.png"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA"])
def test_opaque_8_bit_pictures_keep_their_colours(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGB", (4, 3), (102, 102, 102)).convert(mode)  # a grey of the web palette
    picture.save(tmp_path / "x.png")
    assert (read_rgb(tmp_path / "x.png") == np.full((3, 4, 3), 102, np.uint8)).all()


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("F", "tiff"), ("CMYK", "jpg"), ("I", "tiff")])
def test_other_kinds_of_pixels_are_refused(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.new(mode, (4, 3)).save(path)
    with pytest.raises(DataError, match=f"{path.name} has pixels of kind {mode}"):
        read_rgb(path)


def test_16_bit_colour_is_refused(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">3H", 300, 200, 100))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(DataError, match="RGB;16"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_refused(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (4, 3), (90, 90, 90, 255))
    picture.putpixel((1, 1), (90, 90, 90, 254))
    picture.convert(mode).save(tmp_path / "x.png", **({"transparency": 0} if mode == "P" else {}))
    with pytest.raises(DataError, match="transparent in places"):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_rotation_in_the_header_is_applied(tmp_path: Path, suffix: str) -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}", exif=exif)
    assert (read_rgb(tmp_path / f"x.{suffix}") == np.rot90(pixels, -1)).all()


def test_picture_too_large_to_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"x\.png cannot be read"):
        read_rgb(tmp_path / "x.png")


def test_pixels_of_the_bundle_are_those_of_its_manifest(data_root: Path) -> None:
    import hashlib

    record = find_images(data_root, ["monuseg"], "val")[0]
    pixels = read_rgb(record.path)
    assert pixels.dtype == np.uint8
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == record.sha256


def test_excels_byte_order_mark_is_no_part_of_a_column(manifest: Path) -> None:
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
