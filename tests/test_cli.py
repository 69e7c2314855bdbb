"""The command line as a person meets it: output, exit codes, sentences."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app
from histoscale.cli.upscale import parse_size

SHIPPED = Path(__file__).resolve().parent.parent / "src" / "histoscale" / "shipped"
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cmu-1.png"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, dpi=(50_800, 50_800))
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_version() -> None:
    result = call("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("histoscale ")


def test_help_names_the_verbs() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for verb in ("upscale", "info", "models", "train", "evaluate", "tile"):
        assert verb in result.stdout
        assert call(verb, "--help").exit_code == 0


def test_quick_verbs_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from histoscale.cli import app\n"
        f"app(['info', {str(EXAMPLE)!r}], standalone_mode=False); app(['--help'], standalone_mode=False)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "0.499 um/px" in done.stdout


def test_upscale_prints_one_line(source: Path) -> None:
    target = source.with_name("b.png")
    result = call("upscale", source, "-o", target, "--scale", 0.5)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "a.png 60 x 40 (0.5 um/px) -> b.png 30 x 20 (1 um/px), antialiased bicubic, no model, "
    )
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    assert Image.open(target).size == (30, 20)


@pytest.mark.parametrize(
    ("words", "size"),
    [(["--size", "31x21"], (31, 21)), (["--mpp", "0.8"], (38, 25)), (["--magnification", "10"], (30, 20))],
)
def test_the_other_wishes(source: Path, words: list[str], size: tuple[int, int]) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), *words)
    assert result.exit_code == 0, result.stderr
    assert Image.open(source.with_name("b.png")).size == size


def test_remarks_go_to_standard_error(source: Path) -> None:
    result = call("upscale", source, "-o", source.with_name("b.png"), "--magnification", 10)
    assert result.stderr == "warning: a.png: no objective power is recorded: taken as 10 / mpp = 20.\n"
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
        (["--scale", "0"], "error: Wanted a positive, finite scale, got 0.\n"),
        (["--scale", "nan"], "error: Wanted a positive, finite scale, got nan.\n"),
        (["--scale", "2", "--model", "nobody"], "error: There are no weights named nobody; "),
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
    assert 0.5 < slide["seams"]["ratio"] < 2
    assert slide["work"]["model"]["seconds"] > 0


def test_a_report_that_cannot_be_written_stops_before_the_work(source: Path) -> None:
    target = source.with_name("b.png")
    result = call("upscale", source, "-o", target, "--scale", 0.5, "--report", source)
    assert result.exit_code == 1
    assert result.stderr == f"error: {source}/report.html cannot be written: {source} is not a folder.\n"
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("b.png", ["--compression", "jpeg"], "--compression jpeg has no say in PNG"),
        ("b.png", ["--quality", "50"], "--quality 50 has no say in lossless PNG"),
        ("b.ome.zarr", ["--layout", "both"], "--layout both has no say in OME-Zarr"),
        ("b.ome.tiff", ["--compression", "zstd", "--quality", "50"], "no say in lossless OME-TIFF"),
        ("b.jpg", ["--quality", "50"], ""),
        ("b.ome.tiff", ["--quality", "50", "--layout", "both"], ""),
    ],
)
def test_an_option_in_vain_is_said(source: Path, name: str, words: list[str], said: str) -> None:
    result = call("upscale", source, "-o", source.with_name(name), "--scale", 0.5, "--workers", 1, *words)
    assert result.exit_code == 0
    assert said in result.stderr
    assert ("no say" in result.stderr) == bool(said)


def test_pictures_are_reported_on_request(source: Path) -> None:
    broken = source.with_name("broken.png")
    broken.write_bytes(b"not a picture")
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


def test_info_in_words_and_for_programs(source: Path) -> None:
    assert "mpp:         0.5 um/px (PNG pHYs density)" in call("info", source).stdout
    assert json.loads(call("info", source, "--json").stdout)["size"] == [60, 40]
    result = call("info", source.with_name("nowhere.png"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("nowhere.png does not exist.\n")


def test_models_lists_what_ships() -> None:
    result = call("models")
    shipped = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    assert result.exit_code == (0 if shipped else 1)
    assert all(name in result.stdout for name in shipped)


def test_evaluate_asks_for_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HISTOSCALE_DATA", raising=False)
    result = call("evaluate")
    assert result.exit_code == 2
    assert "HISTOSCALE_DATA" in result.stderr


def test_train_passes_our_errors_on(tmp_path: Path) -> None:
    result = call("train", tmp_path / "nowhere.toml")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_ctrl_c_while_writing(source: Path) -> None:
    """A real signal at the worst moment: the new file is complete under its other name."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell has it ignored
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGINT)\n"
        "from histoscale.cli import main; main()"
    )
    words = ["upscale", str(source), "-o", str(source.with_name("b.png")), "--scale", "0.5"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "error: stopped; no half-written file is left.\n"
    assert done.stdout == ""
    assert list(source.parent.iterdir()) == [source]


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        (True, "error: stopped; the run can be continued with --resume.\n"),
        (False, "error: stopped; nothing to continue from was saved yet.\n"),
    ],
)
def test_ctrl_c_while_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool, sentence: str
) -> None:
    def stopped(_: Path, folder: Path, **__: Any) -> Path:
        if saved:
            (folder / "state.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.training.trainer.train", stopped)
    result = call("train", "run.toml", "-o", tmp_path)
    assert (result.exit_code, result.stderr, result.stdout) == (130, sentence, "")


def test_evaluate_knows_the_devices_that_upscale_knows(source: Path) -> None:
    result = call(
        "evaluate", "--data", source, "-o", source.with_name("out"), "-m", "bicubic", "--device", "abacus"
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: There is no device abacus here: try auto or cpu.\n"


@pytest.mark.parametrize("text", ["1500x900", "1500X900", " 1500×900 "])
def test_sizes(text: str) -> None:
    assert parse_size(text) == (1500, 900)


@pytest.mark.parametrize("text", ["", "1500", "1500x", "x900", "1500x900x3", "-1x5", "1.5x2", "9999999999x1"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_size(text)


@pytest.fixture
def stained(tmp_path: Path) -> list[Path]:
    """Three pictures of tissue, 0.5 um per pixel."""
    paths = [tmp_path / f"core{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(60, 190, (128, 192, 3), np.uint8)
        Image.fromarray(pixels).save(path, dpi=(50_800, 50_800))
    return paths


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (("--tissue", 0, "--split", "1/1/1"), "1 for train, 1 for val, 1 for test"),
        (("--size", 64, "--split", "9/5/4", "--split-by", "tile"), "9 for train, 5 for val, 4 for test"),
        (("--size", 48, "--random-crops", 9, "--split", "15/0/8"), "15 for train, 0 for val, 8 for test"),
        (("--size", 64, "--tissue", 0, "--split", "0/0/18"), "0 for train, 0 for val, 18 for test"),
    ],
)
def test_tile_makes_data_sets_like_the_papers(
    stained: list[Path], words: tuple[Any, ...], counts: str
) -> None:
    output = stained[0].with_name("cut")
    result = call("tile", *stained, "-o", output, *words)
    assert result.exit_code == 0, result.output
    total = sum(int(word) for word in counts.split() if word.isdigit())
    assert result.stdout == f"{total} sub-images of 3 slides written to {output}: {counts}.\n"
    assert len((output / "manifest.csv").read_text().splitlines()) == total + 1
    again = call("tile", *stained, "-o", output, *words)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.endswith("exists already: pass --overwrite to replace it.\n")
    assert call("tile", *stained, "-o", output, *words, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--random-crops", 5), 2, "--random-crops needs the --size"),
        (("--mpp", 0), 2, "are above 0"),
        (("--size", 64, "--split", "many"), 1, "such as 320/40/40"),
        (("--size", 64, "--split", "320/40/40"), 1, "but the slides gave 18"),
        (("--size", 64, "--mpp", 0.25), 1, "would be enlarged"),
    ],
)
def test_tile_says_what_is_wrong(
    stained: list[Path], words: tuple[Any, ...], code: int, sentence: str
) -> None:
    result = call("tile", *stained, "-o", stained[0].with_name("cut"), *words)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not stained[0].with_name("cut").exists()


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_asleep_unless_a_person_says_otherwise(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", said or "")
    if said is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(app, "app", lambda: None)
    app.main()
    assert os.environ["OMP_WAIT_POLICY"] == expected
