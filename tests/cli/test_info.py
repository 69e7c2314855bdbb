"""``histoscale info`` at the command line."""

import json
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


def test_info_in_words_and_for_programs(source: Path) -> None:
    assert "mpp:         0.5 um/px (PNG pHYs density)" in call("info", source).stdout
    assert json.loads(call("info", source, "--json").stdout)["size"] == [60, 40]
    result = call("info", source.with_name("nowhere.png"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nowhere.png does not exist" in result.stderr
