"""The program: version, exit codes, signals."""

import os
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
def test_threads_wait_asleep_unless_a_person_says_otherwise(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", said or "")
    if said is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(sys.modules["histoscale.cli.app"], "app", lambda: None)
    main()
    assert os.environ["OMP_WAIT_POLICY"] == expected
