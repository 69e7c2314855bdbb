"""A whole slide in, a whole slide out: what is written, resumed, refused."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from jaxtyping import UInt8
from PIL import Image

import histoscale
from histoscale.errors import ConfigError, HistoscaleError, InputError, OutputError, ScaleError
from histoscale.io.formats import describe, open_slide
from histoscale.io.tile_store import TileStore
from histoscale.io.writers.base import Encoding
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import ThisProcess, executor_for
from histoscale.upscaling.memory import disk_bytes
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import TileJob, TileResult
from histoscale.upscaling.results import SlideOutcome
from histoscale.upscaling.slide import upscale_slide

REGION = "700,900,100,90"


class StoppedError(Exception):
    """What ends a run in these tests."""


class StopsAfter(ThisProcess):
    """Ends like a killed coordinator: some tiles are logged, and one more lies half written."""

    def __init__(self, tiles: int):
        self._tiles = tiles

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        for done, result in enumerate(super().run(job, tiles)):
            if done == self._tiles:
                tile = job.plan.tile(result.index)
                garbage = np.full((*tile.size, 3), 77, np.uint8)
                TileStore(job.store).write(tile.rows, tile.cols, garbage)
                raise StoppedError
            yield result


@pytest.fixture
def slide(data_root: Path) -> Path:
    return data_root / "wsi/aperio/CMU-1-Small-Region.svs"


@pytest.fixture
def small(small_weights: Path) -> Engine:
    return Engine(str(small_weights), "cpu", "fp32", tile_px=64)


def options(**fields: Any) -> Options:
    return Options(**{"region": REGION, "tissue": "all", "compression": "zstd", **fields})


def run(source: Path, target: Path, engine: Engine, **fields: Any) -> SlideOutcome:
    return upscale_slide(source, target, options(**fields), engine, ThisProcess())


def pixels_of(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    return np.asarray(tifffile.imread(path, series=0, level=0))


def test_a_region_has_the_pixels_of_that_region(slide: Path, tmp_path: Path, small: Engine) -> None:
    outcome = run(slide, tmp_path / "a.ome.tiff", small, mpp=0.2)
    with open_slide(slide) as opened:
        field = opened.read_region(0, (700, 900), (100, 90))
    whole = histoscale.upscale(small.model, field, (225, 249))
    assert np.abs(pixels_of(tmp_path / "a.ome.tiff").astype(int) - whole).max() <= 1
    assert (outcome.before_xy, outcome.after_xy) == ((100, 90), (249, 225))
    assert outcome.mpp_after == pytest.approx((0.2, 0.2), rel=0.01)
    header = describe(tmp_path / "a.ome.tiff")
    assert header.mpp == pytest.approx(outcome.mpp_after)
    assert header.provenance is not None
    assert header.provenance["note"] == "super-resolved, not for primary diagnosis"
    assert not TileStore.beside(tmp_path / "a.ome.tiff").folder.exists()


def test_an_interrupted_run_ends_with_the_same_pixels(slide: Path, tmp_path: Path, small: Engine) -> None:
    run(slide, tmp_path / "whole.ome.tiff", small, scale=2.7)
    target = tmp_path / "parts.ome.tiff"
    for tiles in (3, 4):
        with pytest.raises(StoppedError):
            upscale_slide(slide, target, options(scale=2.7, resume=True), small, StopsAfter(tiles))
        assert not target.exists()
    told: list[str] = []
    wanted = options(scale=2.7, resume=True)
    upscale_slide(slide, target, wanted, small, ThisProcess(), announce=told.append)
    assert "7 of them finished earlier" in told[0]
    assert np.array_equal(pixels_of(target), pixels_of(tmp_path / "whole.ome.tiff"))


@pytest.fixture
def interrupted(slide: Path, tmp_path: Path, small: Engine) -> Path:
    target = tmp_path / "b.ome.tiff"
    with pytest.raises(StoppedError):
        upscale_slide(slide, target, options(scale=2), small, StopsAfter(2))
    return target


def test_a_store_of_an_earlier_version_is_resumed(interrupted: Path, slide: Path, small: Engine) -> None:
    path = TileStore.beside(interrupted).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    known = slide.stat()
    earlier = {"bytes": known.st_size, "changed_ns": known.st_mtime_ns, "start_sha256": "ab" * 32}
    for changed_ns, is_same in ((known.st_mtime_ns - 1, False), (known.st_mtime_ns, True)):
        path.write_text(json.dumps(manifest | {"file": earlier | {"changed_ns": changed_ns}}))
        if is_same:
            run(slide, interrupted, small, scale=2, resume=True)
            break
        with pytest.raises(ConfigError, match="slide's file changed"):
            run(slide, interrupted, small, scale=2, resume=True)
    assert interrupted.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": 2.2}, "The size of the output changed"),
        ({"scale": 2, "region": "0,0,100,90"}, "The region changed"),
        ({"scale": 2, "tissue": "mask"}, "The tissue option changed"),
        ({"scale": 2, "source_mpp": 0.6}, "--source-mpp changed from None to 0.6"),
    ],
)
def test_a_changed_option_is_named(
    slide: Path, small: Engine, interrupted: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        run(slide, interrupted, small, resume=True, **fields)
    run(slide, interrupted, small, scale=2, resume=True)


def test_a_changed_engine_is_named(slide: Path, small: Engine, interrupted: Path) -> None:
    for engine, words in (
        (Engine(small.model_name, "cpu", "bf16", 64), "The precision changed from fp32 to bf16"),
        (Engine(small.model_name, "cpu", "fp32", 128), "The tile changed from 64 to 128"),
        (Engine("iste-fast", "cpu", "fp32", 64), "The model changed"),
    ):
        with pytest.raises(ConfigError, match=words):
            run(slide, interrupted, engine, scale=2, resume=True)


def test_a_chunk_that_a_power_cut_took_is_computed_again(
    slide: Path, small: Engine, interrupted: Path, tmp_path: Path
) -> None:
    store = TileStore.beside(interrupted)
    assert store.done() == {0, 1}
    (store.folder / "pixels.zarr/c/0/0/0").write_bytes(b"")
    run(slide, interrupted, small, scale=2, resume=True)
    run(slide, tmp_path / "whole.ome.tiff", small, scale=2)
    assert np.array_equal(pixels_of(interrupted), pixels_of(tmp_path / "whole.ome.tiff"))


def test_precision_and_tile_are_imposed_on_resuming(slide: Path, small: Engine, interrupted: Path) -> None:
    outcome = run(slide, interrupted, Engine(small.model_name), scale=2, resume=True)
    assert outcome.tile_px == 64
    assert outcome.provenance is not None
    assert outcome.provenance.precision == "fp32"


def test_another_processor_is_refused(slide: Path, small: Engine, interrupted: Path) -> None:
    path = TileStore.beside(interrupted).folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text().replace("cpu x86_64", "cpu abacus"))))
    with pytest.raises(ConfigError, match="The kind of processor changed from cpu abacus"):
        run(slide, interrupted, small, scale=2, resume=True)


def test_a_changed_source_is_named(small: Engine, source: Path) -> None:
    target = source.with_name("c.ome.tiff")
    wanted = options(scale=2, region=None)
    with pytest.raises(StoppedError):
        upscale_slide(source, target, wanted, small, StopsAfter(1))
    Image.new("RGB", (60, 40)).save(source, dpi=(50_800, 50_800))
    with pytest.raises(ConfigError, match="The slide's file changed"):
        run(source, target, small, scale=2, region=None, resume=True)


def test_an_unfinished_run_is_never_dropped_silently(slide: Path, small: Engine, interrupted: Path) -> None:
    with pytest.raises(OutputError, match="holds an unfinished run: give --resume"):
        run(slide, interrupted, small, scale=2)
    run(slide, interrupted, small, scale=3, overwrite=True)
    assert pixels_of(interrupted).shape == (270, 300, 3)


def test_a_second_run_of_the_same_output_is_refused(slide: Path, small: Engine, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.tiff"

    def again(_done: int, _total: int) -> None:
        with pytest.raises(OutputError, match="Another run"):
            run(slide, target, small, scale=2, overwrite=True)
        told.append("refused")

    told: list[str] = []
    upscale_slide(slide, target, options(scale=2), small, ThisProcess(), again)
    assert told
    assert target.exists()


def test_an_existing_target_is_kept(slide: Path, small: Engine, tmp_path: Path) -> None:
    (tmp_path / "a.ome.tiff").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        run(slide, tmp_path / "a.ome.tiff", small, scale=2)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"scale": 2, "region": "5,5,0,9"}, InputError, "is empty"),
        ({"scale": 2, "region": "2200,5,90,9"}, InputError, "reaches beyond"),
        ({"scale": 0.001}, ScaleError, "less than one pixel"),
        ({"scale": 2, "tissue": "gone.png"}, InputError, "there is no file gone.png"),
        ({"scale": 2, "tissue": __file__}, InputError, "test_slide.py is not an image"),
        ({"scale": 2, "tissue": ""}, ConfigError, "--tissue is empty"),
        ({"scale": 2, "region": ""}, ConfigError, "--region is empty"),
        ({"scale": 2, "cluster": ""}, ConfigError, "--cluster is empty"),
    ],
)
def test_what_is_refused_leaves_nothing(
    slide: Path,
    small: Engine,
    tmp_path: Path,
    fields: dict[str, Any],
    error: type[HistoscaleError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        run(slide, tmp_path / "a.ome.tiff", small, **fields)
    assert list(tmp_path.glob("*.ome.tiff*")) == list(tmp_path.glob(".*store")) == []


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("a.dcm", {"compression": "jpeg"}, "micrometres per pixel"),
        ("a.dcm", {"compression": "zstd"}, "DICOM has no zstd"),
        ("a.ome.zarr", {"compression": "jpeg"}, "OME-Zarr has no jpeg"),
        ("a.ome.tiff", {"compression": "jpeg2000", "layout": "both"}, "OpenSlide does not read jpeg2000"),
    ],
)
def test_what_a_format_cannot_hold_leaves_no_store(
    data_root: Path, small: Engine, tmp_path: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    unknown = data_root / "wsi/aperio/TCGA-CR-7395-01A-01-TS1.svs"
    with pytest.raises(OutputError, match=words):
        run(unknown, tmp_path / name, small, scale=2, region="0,0,90,90", **fields)
    assert list(tmp_path.iterdir()) == []


def test_unknown_micrometres_are_an_error_with_advice(data_root: Path, small: Engine, tmp_path: Path) -> None:
    unknown = data_root / "wsi/aperio/TCGA-CR-7395-01A-01-TS1.svs"
    with pytest.raises(ScaleError, match="unknown: give --source-mpp"):
        run(unknown, tmp_path / "a.ome.tiff", small, mpp=0.25)


def test_too_small_a_disk_is_refused_before_the_work(
    slide: Path, small: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match="has 1000 bytes"):
        run(slide, tmp_path / "a.ome.tiff", small, scale=2)
    assert not TileStore.beside(tmp_path / "a.ome.tiff").folder.exists()


def test_a_disk_that_fills_keeps_what_is_finished(
    slide: Path, small: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, write = tmp_path / "a.ome.tiff", TileStore.write

    def full(store: TileStore, rows: slice, cols: slice, pixels: np.ndarray) -> None:
        if len(store.done()) == 2:
            monkeypatch.setattr("zarr.storage._local._put", _no_space)
        write(store, rows, cols, pixels)

    with monkeypatch.context() as patched:
        patched.setattr(TileStore, "write", full)
        with pytest.raises(OutputError, match="no space is left on the disk"):
            run(slide, target, small, scale=2)
    monkeypatch.undo()
    assert len(TileStore.beside(target).done()) == 2
    run(slide, target, small, scale=2, resume=True)
    assert target.exists()


def _no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def draw(path: Path, *corners: tuple[int, int]) -> Path:
    geometry = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": {}}))
    return path


def test_tissue_drawn_as_polygons(slide: Path, tmp_path: Path, small: Engine) -> None:
    half = draw(tmp_path / "half.geojson", (600, 800), (860, 800), (860, 1300), (600, 1300))
    fields = {"scale": 2, "region": "700,900,320,320"}
    larger = Engine(small.model_name, "cpu", "fp32", tile_px=256)
    outcome = run(slide, tmp_path / "half.ome.tiff", larger, tissue=str(half), **fields)
    run(slide, tmp_path / "all.ome.tiff", larger, **fields)
    assert outcome.tissue_share == pytest.approx(0.5, abs=0.11)
    drawn, whole = (pixels_of(tmp_path / f"{name}.ome.tiff") for name in ("half", "all"))
    assert np.array_equal(drawn[:, :320], whole[:, :320])
    assert not np.array_equal(drawn[:, 620:], whole[:, 620:])
    outside = draw(tmp_path / "outside.json", (9000, 0), (9100, 0), (9100, 50))
    with pytest.raises(InputError, match=r"outside.json lies from .* outside"):
        run(slide, tmp_path / "c.ome.tiff", small, scale=2, tissue=str(outside))


def test_micrometres_of_the_person_reach_the_tissue(slide: Path, tmp_path: Path, small: Engine) -> None:
    sides = []
    for name, known in (("a.ome.tiff", None), ("b.ome.tiff", 2.0)):
        wanted = options(scale=2, tissue="mask", source_mpp=known, region="700,900,320,320")
        with pytest.raises(StoppedError):
            upscale_slide(slide, tmp_path / name, wanted, small, StopsAfter(1))
        with Image.open(TileStore.beside(tmp_path / name).tissue) as mask:
            sides.append(mask.size[0])
    assert sides == [10, 40]


def test_a_damaged_macro_is_left_out_with_a_remark(slide: Path, tmp_path: Path) -> None:
    damaged = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as tiff:
        macro = tiff.pages[-1]
        start, length = macro.dataoffsets[0], macro.databytecounts[0]
    damaged[start : start + length] = bytes(length)
    (tmp_path / "damaged.svs").write_bytes(damaged)
    outcome = run(tmp_path / "damaged.svs", tmp_path / "a.ome.tiff", Engine("nobody"), scale=0.5)
    assert "damaged in the source and left out: macro" in outcome.remarks
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert [series.name for series in tiff.series[1:]] == ["label", "thumbnail"]


def test_a_reduction_needs_no_model(slide: Path, tmp_path: Path) -> None:
    outcome = run(slide, tmp_path / "a.ome.tiff", Engine("nobody"), mpp=1.996, region=None)
    assert outcome.method == "antialiased bicubic, no model"
    assert outcome.after_xy == (555, 742)


SHIPPED_REGION = "800,900,160,160"
"""Tissue and background."""
SHIPPED_TILES = 5 * 5


def kill_at(share: float, words: list[str], target: Path) -> None:
    """``kill -9`` for the command and all its processes, as soon as so many of the tiles are in the log."""
    log = TileStore.beside(target).folder / "done"
    given = ["--scale", "4", "--compression", "zstd", "--region", SHIPPED_REGION, "--tile", "128", *words]
    command = [sys.executable, "-m", "histoscale.cli", "upscale", *given, "-o", str(target)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and len(TileStore(log.parent).done()) < share * SHIPPED_TILES:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not target.exists()
    assert share * SHIPPED_TILES <= len(TileStore(log.parent).done()) < SHIPPED_TILES


@pytest.mark.parametrize("shares", [[0.5], pytest.param([0.3, 0.6, 0.9], marks=pytest.mark.slow)])
def test_kill_9_with_the_model_that_ships_and_resume(
    slide: Path, tmp_path: Path, shares: list[float]
) -> None:
    killed, whole = tmp_path / "killed.ome.tiff", tmp_path / "whole.ome.tiff"
    for number, share in enumerate(shares):
        kill_at(share, [str(slide), "--workers", "2", *["--resume"] * (number > 0)], killed)
    given = {"scale": 4, "compression": "zstd", "region": SHIPPED_REGION, "tile_px": 128, "workers": 1}
    histoscale.upscale_slide(slide, killed, **given, resume=True)
    outcome = histoscale.upscale_slide(slide, whole, **given)
    assert outcome.provenance
    assert outcome.provenance.model == "iste-fast"
    assert 0 < (outcome.tissue_share or 0) < 1
    assert np.array_equal(pixels_of(killed), pixels_of(whole))
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_the_pixels_are_those_of_the_file_that_is_there_now(
    tmp_path: Path, small_weights: Path, workers: int
) -> None:
    source, target = tmp_path / "s.png", tmp_path / "o.ome.tiff"
    greys = []
    for grey in (40, 200):
        Image.fromarray(np.full((64, 64, 3), grey, np.uint8)).save(source)
        asked = options(scale=0.5, region=None, workers=workers, overwrite=True)
        with executor_for(asked) as executor:
            for _ in range(2):
                upscale_slide(source, target, asked, Engine(str(small_weights), "cpu", "fp32"), executor)
                greys.append(round(pixels_of(target).mean()))
    assert greys == [40, 40, 200, 200]


def test_another_mask_of_the_same_slide_counts(tmp_path: Path, small: Engine) -> None:
    source, target = tmp_path / "s.png", tmp_path / "o.ome.tiff"
    Image.effect_noise((64, 64), 90).convert("RGB").save(source)
    pixels = []
    for inside in (0, 255):
        Image.new("L", (64, 64), inside).save(tmp_path / "mask.png")
        run(source, target, small, scale=2, region=None, tissue=str(tmp_path / "mask.png"), overwrite=True)
        pixels.append(pixels_of(target).astype(int))
    assert np.abs(pixels[0] - pixels[1]).max() > 3


def test_a_source_that_changes_during_the_run_is_refused(tmp_path: Path, small: Engine) -> None:
    source = tmp_path / "s.png"
    Image.new("RGB", (64, 64)).save(source)

    def replace_source(_: str) -> None:
        Image.new("RGB", (64, 64), "white").save(source)

    with pytest.raises(InputError, match=r"s\.png has changed"):
        upscale_slide(
            source,
            tmp_path / "o.ome.tiff",
            options(scale=2, region=None),
            small,
            ThisProcess(),
            announce=replace_source,
        )


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.ome.zarr"])
def test_the_announced_size_is_an_upper_bound(
    slide: Path, tmp_path: Path, small: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Label, macro and thumbnail take more than the pixels of a small region."""
    announced: list[int] = []
    monkeypatch.setattr("histoscale.upscaling.slide.ensure_disk", lambda _, needed: announced.append(needed))
    upscale_slide(slide, tmp_path / name, options(scale=1.5, compression=None), small, ThisProcess())
    written = [tmp_path / name, *(tmp_path / name).rglob("*")]
    size = sum(path.stat().st_size for path in written if path.is_file())
    assert 300_000 < size < announced[0] - disk_bytes((150, 135), 64, Encoding("jpeg", 90))[0]


def test_a_polite_kill_ends_a_slide_in_a_sentence_and_leaves_nothing_but_the_store(
    tmp_path: Path, small_weights: Path
) -> None:
    source, target = tmp_path / "s.png", tmp_path / "o.ome.tiff"
    Image.effect_noise((300, 300), 90).convert("RGB").save(source)
    words = ["upscale", source, "-o", target, "--scale", "3", "--tissue", "all", "--model", small_weights]
    words += ["--tile", "64", "--workers", "2"]
    command = [sys.executable, "-m", "histoscale.cli", *map(str, words)]
    log = TileStore.beside(target).folder / "done"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        while not log.exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGTERM)  # to the command alone, as a batch system does
        assert process.stderr is not None
        said = process.stderr.read().splitlines()[-1]
    assert process.returncode == 130
    assert "stopped" in said
    assert "--resume" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [".o.ome.tiff.store", "s.png"]


def test_overwriting_removes_what_a_killed_run_left(tmp_path: Path, small: Engine) -> None:
    source, target = tmp_path / "s.png", tmp_path / "o.ome.tiff"
    Image.new("RGB", (64, 64)).save(source)
    (tmp_path / ".o.ome.0123456789abcdef.part.tiff").touch()
    run(source, target, small, scale=0.5, region=None, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.ome.tiff", "s.png"]


@pytest.mark.parametrize("suffix", [".ome.tiff", ".ome.zarr", ".dcm"])
@pytest.mark.parametrize("quality", [None, 80])
def test_a_grey_slide_stays_grey(tmp_path: Path, small: Engine, suffix: str, quality: int | None) -> None:
    """A model colours grey a little, and a lossy format may do so, too."""
    if suffix == ".ome.zarr" and quality:
        pytest.skip("OME-Zarr is lossless")
    grey = np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8)
    tifffile.imwrite(tmp_path / "grey.tif", grey, tile=(64, 64), compression="deflate")
    target = tmp_path / f"a{suffix}"
    run(
        *(tmp_path / "grey.tif", target, small),
        **{"region": None, "scale": 1.5, "source_mpp": 0.5, "compression": None, "quality": quality},
    )
    with open_slide(target) as slide:
        pixels = slide.read_pixels().colour
    assert np.ptp(pixels, axis=2).max() <= (0 if suffix == ".ome.zarr" else 2)
    assert pixels.std() > 10
