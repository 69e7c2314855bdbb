"""Every parser reads or refuses damaged files: in a sentence, in bounded time and memory, with right pixels.

`scripts/check` tries `CASES` files of each parser, `scripts/check --all` forty times as many. A failure
prints the number of its case and writes the file, shrunk, beside the test's other files. To see it again:
``HISTOSCALE_FUZZ_CASE=NUMBER python -m pytest tests/fuzz -k NAME``.
"""

import hashlib
import json
import os
import random
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoscale import weights
from histoscale.config import read_run
from histoscale.data.manifest import read_manifest
from histoscale.errors import HistoscaleError
from histoscale.importing.checkpoint import read_checkpoint
from histoscale.info import info, info_json, info_rows
from histoscale.io.annotations import read_roi
from histoscale.io.formats import open_slide
from histoscale.io.slide import Description
from tests.fuzz import corpus, guard
from tests.fuzz.mutations import BYTES, TEXT, TIFF, Edit, Strategy, apply, mutate, shrink, with_png_checksums

ROOT = Path(__file__).resolve().parents[2]
CASES = int(os.environ.get("HISTOSCALE_FUZZ_CASES", "120"))
"""Files of each parser in `scripts/check`."""
ONE_CASE = os.environ.get("HISTOSCALE_FUZZ_CASE")


@dataclass
class Target:
    """A parser and the files it is tried on.

    Attributes:
        parse: called with the path of a damaged file.
        name: of the file, whose suffix may matter.
        seal: makes checksums right again, so that damage reaches what they guard.
    """

    parse: Callable[[Path], object]
    originals: Sequence[bytes]
    strategies: Sequence[Strategy]
    name: str
    seal: Callable[[bytes], bytes] = field(default=bytes)


# What is parsed, and compared with an independent reader.


def read_all(path: Path, independent: Callable[[Path], np.ndarray | None] | None = None) -> None:
    """Describe a file, read all of it and a part, and compare them with each other and another reader."""
    described = info(path)
    assert list(info_rows(described))
    assert info_json(described)
    if described.refusal:
        return
    with open_slide(path) as slide:
        whole = slide.read_pixels().colour
        height, width = whole.shape[:2]
        assert (width, height) == slide.description.size_xy
        x, y = width // 3, height // 3
        size = min(17, width - x), min(11, height - y)
        part = slide.read_pixels((x, y), size).colour
        assert np.array_equal(part, whole[y : y + size[1], x : x + size[0]]), (
            "a region is not a part of the whole"
        )
    other = independent(path) if independent else None
    if other is not None and other.shape == whole.shape:
        assert np.array_equal(other, whole), "the pixels are not those of the independent reader"


def by_pillow(path: Path) -> np.ndarray | None:
    """The pixels of an opaque image of eight bits."""
    try:
        with Image.open(path) as image:
            if (
                image.mode not in {"RGB", "L"}
                or "transparency" in image.info
                or image.getexif().get(274, 1) != 1
            ):
                return None
            return np.atleast_3d(np.asarray(image))
    except Exception:
        return None  # it may refuse more than ours


def by_tifffile(path: Path) -> np.ndarray | None:
    """The first page of RGB in eight bits, whole."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            plain = page.photometric == tifffile.PHOTOMETRIC.RGB and page.dtype == np.uint8
            oriented = page.tags.valueof(274, 1) == 1
            page.nodata = 255  # gaps are white
            return page.asarray() if plain and oriented and page.shape[-1] == 3 else None
    except Exception:
        return None


# The parsers.


def text_files(tmp: Path) -> dict[str, Target]:
    """JSON, TOML and CSV."""
    slide = Description(Path("x.svs"), "Aperio", (corpus.WIDTH, corpus.HEIGHT), "RGB", 8)
    return {
        "GeoJSON": Target(lambda path: read_roi(path, slide), [corpus.roi()], TEXT, "a.geojson"),
        "manifest": Target(read_manifest, [corpus.manifest()], TEXT, "manifest.csv"),
        "run file": Target(read_run, [corpus.run_file(ROOT)], TEXT, "a.toml"),
    }


def weight_files(tmp: Path) -> dict[str, Target]:
    """safetensors, cards and checkpoints."""
    tensors, card = corpus.small_weights(tmp)

    def load_with_card(path: Path) -> None:
        content = path.read_bytes()
        fields = json.loads(card) | {"sha256": hashlib.sha256(content).hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(fields))
        weights.load(path)

    def load_by_card(path: Path) -> None:
        path.with_suffix(".safetensors").write_bytes(tensors)
        weights.load(path.with_suffix(".safetensors"))

    return {
        "safetensors": Target(load_with_card, [tensors], (*BYTES, *TEXT), "a.safetensors"),
        "card": Target(load_by_card, [card], TEXT, "a.json"),
        "checkpoint": Target(read_checkpoint, [corpus.checkpoint()], BYTES, "a.pth", _with_zip_checksums),
    }


def images(tmp: Path) -> dict[str, Target]:
    """Images and TIFF."""

    def by(independent: Callable[[Path], np.ndarray | None]) -> Callable[[Path], None]:
        return lambda path: read_all(path, independent)

    ome = [slide for slide in corpus.slides() if b"OME" in slide]
    return {
        "PNG": Target(by(by_pillow), corpus.pngs(), BYTES, "a.png", with_png_checksums),
        "JPEG": Target(by(by_pillow), corpus.jpegs(), BYTES, "a.jpg"),
        "WebP, BMP": Target(by(by_pillow), corpus.other_images(), BYTES, "a.webp"),
        "TIFF": Target(by(by_tifffile), corpus.tiffs(), TIFF, "a.tif"),
        "pyramids": Target(read_all, corpus.slides(), TIFF, "a.svs"),
        "OME-XML": Target(read_all, ome, TEXT, "a.ome.tif"),
    }


def folders(tmp: Path) -> dict[str, Target]:
    """OME-Zarr and DICOM: one file of the folder is damaged."""
    found = {}
    for name, suffix, pattern, strategies in (
        ("NGFF", ".ome.zarr", "zarr.json", TEXT),
        ("NGFF level", ".ome.zarr", "0/zarr.json", TEXT),
        ("DICOM", ".dcm", "level-0.dcm", BYTES),
    ):
        made = tmp / f"made {name}"
        made.mkdir()
        whole = corpus.slide_folder(made, suffix)
        content = (whole / pattern).read_bytes()

        def read_folder(path: Path, whole: Path = whole, pattern: str = pattern) -> None:
            copy = path.parent / whole.name
            if not copy.exists():
                shutil.copytree(whole, copy)
            (copy / pattern).write_bytes(path.read_bytes())
            read_all(copy)

        found[name] = Target(read_folder, [content], strategies, "damaged")
    return found


def _with_zip_checksums(data: bytes) -> bytes:
    """A ZIP of stored files with right checksums in its local headers and its directory."""
    fixed = bytearray(data)
    for match in re.finditer(rb"PK\x03\x04", data):
        at = match.start()
        if at + 30 > len(data):
            continue
        size = int.from_bytes(data[at + 18 : at + 22], "little")
        begin = at + 30 + sum(int.from_bytes(data[at + o : at + o + 2], "little") for o in (26, 28))
        fixed[at + 14 : at + 18] = zlib.crc32(data[begin : begin + size]).to_bytes(4, "little")
    return bytes(fixed)


GROUPS = (text_files, weight_files, images, folders)
NAMES = (
    *("GeoJSON", "manifest", "run file", "safetensors", "card", "checkpoint"),
    *("PNG", "JPEG", "WebP, BMP", "TIFF", "pyramids", "OME-XML", "NGFF", "NGFF level", "DICOM"),
)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """All parsers by name."""
    tmp = tmp_path_factory.mktemp("originals")
    found: dict[str, Target] = {}
    for group in GROUPS:
        found |= group(tmp)
    assert tuple(found) == NAMES
    return found


def search(target: Target, folder: Path, cases: Iterable[int]) -> list[str]:
    """What is wrong with each case that fails; its shrunk file is kept in ``folder``."""
    return [found for case in cases if (found := try_case(target, folder, case))]


def try_case(target: Target, folder: Path, case: int) -> str | None:
    """What is wrong with one case, shrunk; None if nothing."""
    original = target.originals[case % len(target.originals)]
    edits = mutate(original, target.strategies, random.Random(f"{target.name} {case}"))

    def failure(edits: list[Edit]) -> str | None:
        path = folder / target.name
        path.write_bytes(target.seal(apply(original, edits)))
        return guard.failure(target.parse, path)

    wrong = failure(edits)
    if wrong is None:
        return None
    kind = wrong.splitlines()[-1]
    edits = shrink(edits, lambda fewer: (failure(fewer) or "").endswith(kind))
    kept = folder / f"case-{case}{Path(target.name).suffix}"
    kept.write_bytes(target.seal(apply(original, edits)))
    return f"case {case}, shrunk to {kept}:\n{wrong}"


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused(targets: dict[str, Target], name: str, tmp_path: Path) -> None:
    found = search(targets[name], tmp_path, [int(ONE_CASE)] if ONE_CASE else range(CASES))
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_damaged_files_are_read_or_refused(
    targets: dict[str, Target], name: str, tmp_path: Path
) -> None:
    found = search(targets[name], tmp_path, range(CASES, 40 * CASES))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_read(targets: dict[str, Target], name: str, tmp_path: Path) -> None:
    """Else everything would be refused at the door, and nothing tried."""
    target = targets[name]
    for original in target.originals:
        path = tmp_path / target.name
        path.write_bytes(target.seal(original))
        target.parse(path)


# The search itself.


def test_a_traceback_is_found_and_shrunk(tmp_path: Path) -> None:
    def parse(path: Path) -> None:
        if b"\xff" in path.read_bytes():
            raise KeyError("a bug")

    found = search(Target(parse, [bytes(100)], BYTES, "a.bin"), tmp_path, range(40))
    assert found
    assert "a bug" in found[0]
    assert b"\xff" in next(tmp_path.glob("case-*")).read_bytes()


def test_memory_time_and_control_characters_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"

    def greedy(_: Path) -> None:
        assert np.ones(guard.MOST_BYTES // 8 + 2**22).sum() > 0

    class UnescapedError(HistoscaleError):
        def __str__(self) -> str:
            return "\x1b[2J"

    def rude(_: Path) -> None:
        raise UnescapedError

    assert "MiB" in (guard.failure(greedy, path) or "")
    assert "control" in (guard.failure(rude, path) or "")
    monkeypatch.setattr(guard, "_STOP_AFTER", 1)
    assert "stopped after" in (guard.failure(lambda _: [0 for _ in iter(int, 1)], path) or "")


def test_the_same_number_is_the_same_file() -> None:
    original = corpus.roi()
    once, again = (apply(original, mutate(original, TEXT, random.Random("a 1"))) for _ in range(2))
    assert once == again != original
