"""``histoscale figures`` at the command line."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from histoscale.cli import app
from tests.small import write_images


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, ["figures", *(str(word) for word in words)])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", "a", (80, 70)) / "a.png"


def test_a_page_and_what_is_not_on_it(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("-m", "iste-fast", "--data", image, "-o", out, "--crop", 64, "--mpp", 0.5)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"The page is {out / 'index.html'}.\n"
    assert "Fig. 7: LIIF above ISTE at non-integer scales. Left out: it needs" in result.stderr
    assert "0.5 µm per pixel" in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 1, "LABEL=WEIGHTS"),
        (["-m", "iste-fast"], 1, "192 x 192"),
        (["-m", "iste-fast", "--image", "b"], 1, "image b"),
        (["-m", "iste-fast", "--crop", "64", "--scale", "0.9"], 1, "0.9"),
        (["-m", "iste-fast", "--limit", "0"], 2, "--limit"),
    ],
)
def test_mistakes(words: list[str], code: int, sentence: str, image: Path, tmp_path: Path) -> None:
    result = call(*words, "--data", image, "-o", tmp_path / "out")
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HISTOSCALE_DATA", raising=False)
    result = call("-m", "iste-fast")
    assert result.exit_code == 2
    assert "give --data" in result.stderr
