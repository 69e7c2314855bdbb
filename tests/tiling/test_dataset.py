import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.config import DataTable
from histoscale.data.manifest import find_images
from histoscale.data.pairs import PairDataset
from histoscale.errors import DataError, HistoscaleError, InputError, OutputError
from histoscale.io.formats import describe, open_slide
from histoscale.io.image_reader import read_rgb
from histoscale.tiling.dataset import Tiling, cut_slides
from histoscale.tiling.splits import parse_split

PaintSlide = Callable[..., Path]
BY_TILE = Tiling(parse_split("5/2/1"), side_px=64, tissue=0.5, split_by="tile", set="cut")


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_can_be_trained_on_the_folder(tmp_path: Path, paint: PaintSlide) -> None:
    output = tmp_path / "cut"
    assert cut_slides([paint("a.png")], output, BY_TILE) == {"train": 5, "val": 2, "test": 1}
    data = DataTable(root=output, sets=("cut",), patch_px=24, scales=(2.0,))
    records = find_images(data.root, data.sets, data.split)
    pair = PairDataset([read_rgb(record.path) for record in records], data.recipe(), 2, 0)[0]
    assert pair.lr.shape == (3, 24, 24)
    assert len(records) == 5
    assert len(find_images(output, split="val")) == 2


def test_the_manifest_says_where_each_sub_image_was(tmp_path: Path, paint: PaintSlide) -> None:
    slide, output = paint("a.png"), tmp_path / "cut"
    cut_slides([slide], output, BY_TILE)
    whole = np.asarray(Image.open(slide))
    rows = list(csv.DictReader((output / "manifest.csv").open(newline="")))
    for row in rows:
        pixels, (x, y) = read_rgb(output / row["file"]), (int(row["x"]), int(row["y"]))
        assert np.array_equal(pixels, whole[y : y + 64, x : x + 64])
        assert row["sha256_pixels"] == hashlib.sha256(pixels.tobytes()).hexdigest()
        assert (row["width"], row["height"], row["mpp"], row["slide"]) == ("64", "64", "0.5", "a")
        assert float(row["tissue"]) >= 0.5
        assert row["file"] == f"{row['split']}/{row['id']}.png"
    assert describe(output / rows[0]["file"]).mpp == (pytest.approx(0.5), pytest.approx(0.5))
    assert listing(output) == sorted(["manifest.csv", "origin.json", *(row["file"] for row in rows)])
    assert json.loads((output / "origin.json").read_text())["slides"] == ["a.png"]


def test_a_second_time_gives_the_same_bytes(tmp_path: Path, paint: PaintSlide) -> None:
    slides = [paint("a.png"), paint("b.png", seed=1)]
    recipe = replace(BY_TILE, random_crops=6, side_px=48, form="webp")
    for name in ("one", "two"):
        cut_slides(slides, tmp_path / name, recipe)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")
    for name in listing(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_slides_stay_apart(tmp_path: Path, paint: PaintSlide) -> None:
    slides = [paint(f"{name}.png", seed=i) for i, name in enumerate("abc")]
    cut_slides(slides, tmp_path / "cut", replace(BY_TILE, split_by="slide"))
    rows = list(csv.DictReader((tmp_path / "cut" / "manifest.csv").open(newline="")))
    assert len({(row["slide"], row["split"]) for row in rows}) == 3


def test_coarser_sub_images_state_their_resolution(tmp_path: Path, paint: PaintSlide) -> None:
    recipe = replace(BY_TILE, mpp=1.0, side_px=32)
    cut_slides([paint("a.png")], tmp_path / "cut", recipe)
    rows = list(csv.DictReader((tmp_path / "cut" / "manifest.csv").open(newline="")))
    assert {row["mpp"] for row in rows} == {"1"}
    assert read_rgb(tmp_path / "cut" / rows[0]["file"]).shape == (32, 32, 3)


def test_whole_slides_are_sub_images_too(tmp_path: Path, paint: PaintSlide) -> None:
    slides = [paint(f"core{i}.png", 160, 120, seed=i) for i in range(4)]
    recipe = Tiling(parse_split("2/1/1"), tissue=0.3)
    assert cut_slides(slides, tmp_path / "tma", recipe) == {"train": 2, "val": 1, "test": 1}
    record = find_images(tmp_path / "tma", split="test")[0]
    assert np.array_equal(read_rgb(record.path), read_rgb(tmp_path / f"{record.id.split('_')[0]}.png"))


def test_an_existing_folder_is_refused_or_overwritten_completely(tmp_path: Path, paint: PaintSlide) -> None:
    slide, output = paint("a.png"), tmp_path / "cut"
    cut_slides([slide], output, BY_TILE)
    before = listing(output)
    with pytest.raises(OutputError, match="exists already: pass --overwrite"):
        cut_slides([slide], output, replace(BY_TILE, side_px=32))
    assert listing(output) == before
    cut_slides([slide], output, replace(BY_TILE, side_px=32), overwrite=True)
    assert read_rgb(find_images(output)[0].path).shape == (32, 32, 3)
    assert len(listing(output)) == 10


def test_a_folder_of_other_origin_is_never_overwritten(tmp_path: Path, paint: PaintSlide) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="not written by `histoscale tile`"):
        cut_slides([paint("a.png")], tmp_path / "mine", BY_TILE, overwrite=True)
    assert listing(tmp_path / "mine") == ["thesis.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("a tile is damaged.")])
def test_an_interruption_leaves_no_files_and_keeps_the_old_ones(
    tmp_path: Path, paint: PaintSlide, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide, output = paint("a.png"), tmp_path / "cut"
    cut_slides([slide], output, BY_TILE)
    before = listing(tmp_path)

    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("cutting", 3):
            raise error

    with pytest.raises((KeyboardInterrupt, InputError)):
        cut_slides([slide], output, replace(BY_TILE, side_px=32), overwrite=True, report=stop)
    assert listing(tmp_path) == before


def test_slides_of_one_name_are_refused(tmp_path: Path, paint: PaintSlide) -> None:
    (tmp_path / "more").mkdir()
    with pytest.raises(DataError, match=r"have the same name.*rename"):
        cut_slides([paint("a.png"), paint("more/a.png")], tmp_path / "cut", BY_TILE)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\nrubbish"])
def test_a_slide_that_cannot_be_read_stops_before_anything_is_written(
    tmp_path: Path, paint: PaintSlide, content: bytes | None
) -> None:
    bad = tmp_path / "bad.svs"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(HistoscaleError, match=r"bad\.svs"):
        cut_slides([paint("a.png"), bad], tmp_path / "cut", BY_TILE)
    assert not (tmp_path / "cut").exists()


def test_background_gives_one_sentence(tmp_path: Path, paint: PaintSlide) -> None:
    with pytest.raises(DataError, match=r"No sub-image of \d+ px .*a\.png .*\d+% of tissue"):
        cut_slides([paint("a.png", share=0)], tmp_path / "cut", BY_TILE)


def test_a_real_slide(tmp_path: Path, data_root: Path) -> None:
    path = data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs"
    recipe = Tiling(parse_split("6/2/2"), side_px=256, tissue=0.5, split_by="tile", seed=4)
    cut_slides([path], tmp_path / "cut", recipe)
    rows = list(csv.DictReader((tmp_path / "cut" / "manifest.csv").open(newline="")))
    assert {row["mpp"] for row in rows} == {"0.499"}
    with open_slide(path) as slide:
        for row in rows:
            expected = slide.read_region(0, (int(row["x"]), int(row["y"])), (256, 256))
            assert np.array_equal(read_rgb(tmp_path / "cut" / row["file"]), expected)
            assert (expected.min(axis=2) < 220).mean() > 0.3
