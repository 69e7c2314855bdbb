"""``histoscale frechet`` at the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner, Result

from histoscale.cli import app


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Nine rough images of 96 x 96, and the same blurred."""
    rng = np.random.default_rng(0)
    paths = tmp_path / "sharp", tmp_path / "blurred"
    for path in paths:
        path.mkdir()
    for number in range(9):
        image = Image.fromarray(rng.integers(256, size=(96, 96, 3), dtype=np.uint8))
        image.save(paths[0] / f"{number}.png")
        image.filter(ImageFilter.GaussianBlur(1)).save(paths[1] / f"{number}.png")
    return paths


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["frechet", *map(str, words)])


def test_the_line_states_distance_features_and_n(folders: tuple[Path, Path]) -> None:
    found = run(*folders, "--patch", "32", "--device", "cpu")
    assert found.exit_code == 0, found.output
    assert found.stdout.endswith("histoscale-tissue features, n = 81 patches of 32 px.\n")
    assert float(found.stdout.split()[2].rstrip(",")) > 0
    assert run(folders[0], folders[0], "--patch", "32").stdout.startswith("Frechet distance 0.0000,")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "more than 64"),
        (("--patch", "0"), " 9"),
        (("--extractor", "inception"), "pt_inception-2015-12-05-6726825d.pth"),
        (("--inception-weights", "x.pth"), "x.pth"),
        (("--extractor", "inception", "--inception-weights", "x.pth"), "x.pth cannot be read"),
        (("--device", "quantum"), "quantum"),
    ],
)
def test_one_sentence_for_what_cannot_be(
    folders: tuple[Path, Path], words: tuple[str, ...], sentence: str
) -> None:
    found = run(*folders, *words)
    assert found.exit_code == 1
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1
