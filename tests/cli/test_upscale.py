"""``histoscale upscale`` at the command line."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.cli.upscale import parse_size


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, dpi=(50_800, 50_800))
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_upscale_prints_one_line(source: Path) -> None:
    target = source.with_name("b.png")
    result = call("upscale", source, "-o", target, "--scale", 0.5)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"a.png 60 x 40 (0.5 um/px) -> {target} 30 x 20 (1 um/px), antialiased bicubic, no model, "
    )
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    assert Image.open(target).size == (30, 20)


@pytest.mark.parametrize(
    ("words", "size"),
    [(["--size", "31x21"], (31, 21)), (["--mpp", "0.8"], (38, 25)), (["--magnification", "10"], (30, 20))],
)
def test_the_other_ways_to_give_a_size(source: Path, words: list[str], size: tuple[int, int]) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), *words)
    assert result.exit_code == 0, result.stderr
    assert Image.open(source.with_name("b.png")).size == size


def test_remarks_go_to_standard_error(source: Path) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), "--magnification", 10)
    assert result.stderr == "warning: a.png: no objective power is recorded: estimated as 10 / mpp = 20.\n"
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "words", [[], ["--scale", "2", "--mpp", "0.2"], ["--size", "12"], ["--scale", "two"], ["--tile", "0"]]
)
def test_a_wrong_command_line_is_two(source: Path, words: list[str]) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), *words)
    assert result.exit_code == 2
    assert "Error" in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--scale", "0"], "error: --scale must be positive and finite, but is 0.\n"),
        (["--scale", "nan"], "error: --scale must be positive and finite, but is nan.\n"),
        (["--scale", "2", "--model", "nobody"], "error: There are no weights named nobody: "),
        (["--scale", "2", "--device", "abacus"], "error: There is no device abacus here: try auto or cpu.\n"),
    ],
)
def test_a_sentence_and_one(source: Path, words: list[str], sentence: str) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), *words)
    assert result.exit_code == 1
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert list(source.parent.iterdir()) == [source]


def test_existing_outputs_are_kept(source: Path) -> None:
    target = source.with_name("b.png")
    target.write_bytes(b"old")
    result = call("upscale", source, "-o", target, "--scale", 0.5)
    assert result.exit_code == 1
    assert "exists already: pass --overwrite" in result.stderr
    assert target.read_bytes() == b"old"
    assert call("upscale", source, "-o", target, "--scale", 0.5, "--overwrite").exit_code == 0
    assert Image.open(target).size == (30, 20)


def test_many_files_with_a_failure(source: Path) -> None:
    broken = source.with_name("broken.png")
    broken.write_bytes(source.read_bytes()[:60])
    result = call("upscale", broken, source, "-o", source.with_name("out"), "--scale", 0.5)
    assert result.exit_code == 1
    assert "broken.png is damaged or incomplete" in result.stderr
    first, last = result.stdout.splitlines()
    assert first.startswith("a.png 60 x 40")
    assert last.startswith("1 of 2 files written to ")


def test_a_slide_is_reported_beside_it(source: Path) -> None:
    Image.effect_noise((60, 40), 90).convert("RGB").save(source, dpi=(50_800, 50_800))
    target = source.with_name("b.ome.tiff")
    result = call("upscale", source, "-o", target, "--scale", 2, "--tile", 64, "--workers", 1)
    assert result.exit_code == 0
    page, record = (source.with_name(f"b.ome.tiff.report.{suffix}") for suffix in ("html", "json"))
    assert f"Report: {page}." in result.stdout
    assert page.read_text(encoding="utf-8").count("data:image/jpeg;base64,") == 2
    (slide,) = json.loads(record.read_text(encoding="utf-8"))["slides"]
    assert slide["target_size_px"] == [120, 80]
    assert slide["tissue_share"] == 1
    assert slide["peak_mib"] > 50
    assert slide["work"]["model"]["seconds"] > 0


def test_a_file_under_the_name_of_the_report_is_kept(source: Path) -> None:
    target, page = source.with_name("b.ome.tiff"), source.with_name("b.ome.tiff.report.html")
    page.write_text("a person's notes")
    words = ["upscale", source, "-o", target, "--scale", 0.5, "--workers", 1]
    result = call(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{page} exists already" in result.stderr
    assert not target.exists()
    assert page.read_text() == "a person's notes"
    assert call(*words, "--overwrite").exit_code == 0
    assert "b.ome.tiff" in page.read_text(encoding="utf-8")


def test_long_and_foreign_names_are_written_and_reported(source: Path) -> None:
    for name in ("名" * 81 + ".ome.tiff", os.fsdecode(b"\xff.ome.tiff")):
        target = source.with_name(name)
        result = call("upscale", source, "-o", target, "--scale", 0.5, "--workers", 1)
        assert result.exit_code == 0, result.stderr
        assert target.exists()
    records = [json.loads(path.read_text(encoding="utf-8")) for path in source.parent.glob("*.report.json")]
    assert sorted(record["written"] for record in records) == [1, 1]


def test_a_report_that_cannot_be_written_stops_before_the_work(source: Path) -> None:
    target = source.with_name("b.png")
    result = call("upscale", source, "-o", target, "--scale", 0.5, "--report", source)
    assert result.exit_code == 1
    assert result.stderr == f"error: {source}/report.html cannot be written: {source} is not a folder.\n"
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("b.png", ["--compression", "jpeg"], "--compression jpeg has no effect on PNG"),
        ("b.png", ["--quality", "50"], "--quality 50 has no effect on lossless PNG"),
        ("b.ome.zarr", ["--layout", "both"], "--layout both has no effect on OME-Zarr"),
        ("b.ome.tiff", ["--compression", "zstd", "--quality", "50"], "no effect on lossless OME-TIFF"),
        ("b.jpg", ["--quality", "50"], ""),
        ("b.ome.tiff", ["--quality", "50", "--layout", "both"], ""),
    ],
)
def test_an_option_without_effect_gives_a_remark(
    source: Path, name: str, words: list[str], said: str
) -> None:
    result = call("upscale", source, "-o", source.with_name(name), "--scale", 0.5, "--workers", 1, *words)
    assert result.exit_code == 0
    assert said in result.stderr
    assert ("no effect" in result.stderr) == bool(said)


def test_images_are_reported_on_request(source: Path) -> None:
    broken = source.with_name("broken.png")
    broken.write_bytes(b"not an image")
    reports = source.with_name("reports")
    words = ["upscale", broken, source, "-o", source.with_name("out"), "--scale", 0.5]
    assert call(*words).exit_code == 1
    assert not reports.exists()
    assert call(*words, "--overwrite", "--report", reports).exit_code == 1
    page, record = sorted(reports.iterdir())
    assert "1 of 2 files written" in page.read_text(encoding="utf-8")
    failed, written = json.loads(record.read_text(encoding="utf-8"))["slides"]
    assert "broken.png" in failed["sentence"]
    assert written["target_size_px"] == [30, 20]


@pytest.mark.parametrize("text", ["1500x900", "1500X900", " 1500×900 "])
def test_sizes(text: str) -> None:
    assert parse_size(text) == (1500, 900)


@pytest.mark.parametrize("text", ["", "1500", "1500x", "x900", "1500x900x3", "-1x5", "1.5x2", "9999999999x1"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_size(text)
