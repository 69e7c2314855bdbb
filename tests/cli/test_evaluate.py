"""``histoscale evaluate`` as a person meets it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, dpi=(50_800, 50_800))
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_evaluate_asks_for_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HISTOSCALE_DATA", raising=False)
    result = call("evaluate")
    assert result.exit_code == 2
    assert "HISTOSCALE_DATA" in result.stderr


def test_evaluate_knows_the_devices_that_upscale_knows(source: Path) -> None:
    result = call(
        "evaluate", "--data", source, "-o", source.with_name("out"), "-m", "bicubic", "--device", "abacus"
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: There is no device abacus here: try auto or cpu.\n"
