"""The program: version, exit codes, signals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app, main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cmu-1.png"


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


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_while_writing_leaves_no_partial_file(source: Path, number: str) -> None:
    """A real signal at the worst moment: the new file is complete under its temporary name."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell has it ignored
        f"os.fsync = lambda _: os.kill(os.getpid(), signal.{number})\n"
        "from histoscale.cli import main; main()"
    )
    words = ["upscale", str(source), "-o", str(source.with_name("b.png")), "--scale", "0.5"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "error: stopped; no partial file is left.\n"
    assert done.stdout == ""
    assert list(source.parent.iterdir()) == [source]


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_passively_unless_the_environment_differs(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", said or "")
    if said is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(sys.modules["histoscale.cli.app"], "app", lambda: None)
    main()
    assert os.environ["OMP_WAIT_POLICY"] == expected


def test_a_bug_is_one_line_and_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: Path) -> None:
        raise KeyError("lut\x1b[2J")

    monkeypatch.setattr("histoscale.info.info", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = call("info", "a.png")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "KeyError" in result.stderr
    assert "\x1b[2J" not in result.stderr
    (log,) = tmp_path.iterdir()
    assert str(log) in result.stderr
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "broken" in text
    assert text.startswith("histoscale ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["info", "x" * 300 + ".png"], "File name too long"),
        (["train", "x" * 300 + ".toml"], "File name too long"),
        (["import-weights", "x" * 300 + ".pth", "--as", "liif", "-o", "a.safetensors"], "File name too long"),
        (["tile", "x" * 300, "-o", "out"], "File name too long"),
        (["upscale", "x" * 300, "--scale", "2", "-o", "b.png"], "File name too long"),
        (["upscale", "a.png", "--scale", "2", "-o", "x" * 300 + ".png"], "File name too long"),
    ],
)
def test_a_name_that_no_file_system_takes(tmp_path: Path, words: list[str], said: str) -> None:
    result = call(*words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert "bug" not in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_that_lacks_letters(tmp_path: Path, encoding: str) -> None:
    source, target = tmp_path / "ä.png", tmp_path / os.fsdecode(b"\xe5\x90\x8d-\xff.png")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(source)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    for words in (["--help"], ["upscale", "--help"], ["upscale", source, "--scale", "0.5", "-o", target]):
        command = [sys.executable, "-m", "histoscale.cli", *map(os.fspath, words)]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    assert target.exists()
    if encoding != "ascii":  # which typer takes for a mistake: it writes UTF-8
        assert rb"\u540d" in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["upscale", "a.png", "--scale", "2", "-o", ""], "-o"),
        (["upscale", "a.png", "--scale", "2", "--output="], "--output"),
        (["upscale", "", "--scale", "2", "-o", "b.png"], "argument"),
        (["train", "run.toml", "--output", ""], "--output"),
        (["evaluate", "-m", "bicubic", "--data", ""], "--data"),
        (["info", ""], "argument"),
    ],
)
def test_an_empty_word_is_refused(words: list[str], named: str) -> None:
    result = call(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "empty" in result.stderr
    assert named in result.stderr


def test_an_empty_split_means_all_splits() -> None:
    result = call("evaluate", "-m", "bicubic", "--data", "/nowhere", "--split", "")
    assert "empty" not in result.stderr
    assert "nowhere" in result.stderr


DENIED = """
import json, sys
from typer.testing import CliRunner
from histoscale.cli import app
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, words)
    print(json.dumps([words, result.exit_code, result.stdout, result.stderr]))
"""
ORDINARY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Runs a command for which permissions count, though it is the administrator's."""


def test_a_file_without_permission_is_one_sentence_in_every_verb(tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("permissions do not count for the administrator")
    closed, file = tmp_path / "closed", tmp_path / "a.png"
    closed.mkdir()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(file)
    (closed / "b.png").write_bytes(file.read_bytes())
    for path in (
        file,
        tmp_path / "a.toml",
        tmp_path / "a.pth",
        tmp_path / "a.safetensors",
        tmp_path / "a.csv",
    ):
        path.touch()
        path.chmod(0)
    closed.chmod(0)
    example, out = str(EXAMPLE), str(tmp_path / "out")
    commands = [
        ["info", file],
        ["info", closed],
        ["info", closed / "b.png"],
        ["upscale", file, "--scale", "0.5", "-o", out + ".png"],
        ["upscale", closed, "--scale", "0.5", "-o", out + ".png"],
        ["upscale", closed / "b.png", example, "--scale", "0.5", "-o", out],
        ["upscale", example, "--scale", "0.5", "-o", closed / "x.png"],
        ["upscale", example, "--scale", "0.5", "-o", closed / "x.ome.tiff", "--workers", "1"],
        ["upscale", example, "--scale", "2", "-m", tmp_path / "a.safetensors", "-o", out + ".png"],
        ["upscale", example, "--scale", "2", "--roi", tmp_path / "a.toml", "-o", out + ".png"],
        ["tile", file, "-o", out],
        ["tile", example, "-o", closed / "out", "--tissue", "0"],
        ["train", tmp_path / "a.toml"],
        ["study", tmp_path / "a.toml"],
        ["evaluate", "-m", "bicubic", "--data", closed, "-o", out],
        ["compare", "--from", tmp_path / "a.csv", "-o", out],
        ["import-weights", tmp_path / "a.pth", "--as", "liif", "-o", tmp_path / "x.safetensors"],
    ]
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [*(ORDINARY if os.geteuid() == 0 else []), sys.executable, "-c", DENIED, words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    closed.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / EXAMPLE.name).exists()  # the other file of the batch
    for line in done.stdout.splitlines():
        given, code, stdout, stderr = json.loads(line)
        errors = [said for said in stderr.splitlines() if said.startswith("error: ")]
        assert (code, len(errors)) == (1, 1), (given, code, stdout, stderr)
        assert "bug of" not in stderr, (given, stderr)
