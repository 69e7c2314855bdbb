"""``histoscale tile`` at the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from histoscale.cli import app


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


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
        (("--random-crops", 5), 2, "--random-crops needs --size"),
        (("--mpp", 0), 2, "must be above 0"),
        (("--size", 64, "--split", "many"), 1, "320/40/40"),
        (("--size", 64, "--split", "320/40/40"), 1, "18"),
        (("--size", 64, "--mpp", 0.25), 1, "0.25"),
    ],
)
def test_tile_says_what_is_wrong(
    stained: list[Path], words: tuple[Any, ...], code: int, sentence: str
) -> None:
    result = call("tile", *stained, "-o", stained[0].with_name("cut"), *words)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not stained[0].with_name("cut").exists()
