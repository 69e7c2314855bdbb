"""The page from weights to files: what it shows is there, whose it is, and mistakes before any work."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from histoscale.errors import ConfigError, DataError, HistoscaleError, InputError, OutputError, ScaleError
from histoscale.experiments.figures import experiment as module
from histoscale.experiments.figures.experiment import INDEX
from histoscale.experiments.figures.experiment import figures as draw_figures
from histoscale.experiments.figures.figure import LeftOut
from histoscale.experiments.figures.page import Saved
from histoscale.experiments.images import ImageSelection
from histoscale.resources import Compute


def figures(words: Sequence[str], data: Path, output: Path, **options: Any) -> list[Saved | LeftOut]:
    """Draw 64 x 64 pixels of one image of each set at x2, unless the options say otherwise."""
    options = {"crop_px": 64, "limit": 1, "degradations": ("B",), "scale": 2.0, **options}
    fields = ("sets", "split", "degradations", "limit", "crop_px")
    selection = ImageSelection(data, **{name: options.pop(name) for name in fields if name in options})
    return draw_figures(words, selection, output, **options)


def draw(words: Sequence[str], data: Path, output: Path, **options: Any) -> str:
    figures(words, data, output, **options)
    return (output / INDEX).read_text(encoding="utf-8")


def shown(page: str) -> set[str]:
    return set(re.findall(r'<img src="([^"]+)"', page))


class Page(NamedTuple):
    """A page that was drawn, for tests that do not change it."""

    folder: Path
    entries: list[Saved | LeftOut]
    shares: list[float]

    @property
    def text(self) -> str:
        return (self.folder / INDEX).read_text(encoding="utf-8")


def drawn(words: Sequence[str], data: Path, folder: Path) -> Page:
    shares: list[float] = []
    entries = figures(words, data, folder / "out", progress=lambda share, _: shares.append(share))
    return Page(folder / "out", entries, shares)


@pytest.fixture(scope="module")
def full(words: dict[str, str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """With every figure."""
    return drawn(list(words.values()), data, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def alone(words: dict[str, str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of one fixed-scale model."""
    return drawn([words["edsr"]], data, tmp_path_factory.mktemp("alone"))


def test_the_page_shows_every_image_beside_it(full: Page) -> None:
    out, text = full.folder, full.text
    assert {path.name for path in out.iterdir()} == {INDEX, *shown(text)}
    assert len(shown(text)) == 2 + 1 + 2 + 1 + 2 + 2  # Figs. 6 to 10 and the gallery
    assert full.shares == [done / 8 for done in range(1, 9)]
    assert "<script" not in text
    assert "http" not in text
    assert re.findall(r'href="#([\w-]+)"', text) == re.findall(r'<h2 id="([\w-]+)"', text)
    for name in shown(text):
        with Image.open(out / name) as image:
            assert re.split(r" \(|;", image.info["Description"])[0] in text
            width = re.search(rf'src="{name}" width="(\d+)"', text)
            assert width is not None
            assert abs(image.width / 2 - int(width[1])) <= 1


def test_weights_are_named_by_digest(alone: Page) -> None:
    text = alone.text
    (sha256,) = re.findall(r"<code>([0-9a-f]{64})</code>", text)
    assert f"Weights: edsr {sha256[:12]}</span>" in text
    assert "1\u202f200 steps" in text


def test_what_cannot_be_drawn_is_said(alone: Page) -> None:
    left_out = [entry for entry in alone.entries if isinstance(entry, LeftOut)]
    assert [entry.section[:7] for entry in left_out] == [
        "Fig. 1d",
        "Fig. 7:",
        "Fig. 8:",
        "Fig. 9:",
        "Fig. 10",
    ]
    assert all(f'<p class="remark">{entry.reason}</p>' in alone.text for entry in left_out)


def test_images_are_evenly_chosen_or_named(words: dict[str, str], data: Path, tmp_path: Path) -> None:
    text = draw([words["edsr"]], data, tmp_path / "even", limit=2)
    gallery = text[text.index(">Gallery</h2>") :]
    assert re.findall(r"[ab] ([ab]\d): 64", gallery) == ["a1", "a2", "b1"]
    assert "3 images of split test, spread evenly" in text
    assert "not chosen by hand" in text
    text = draw([words["edsr"]], data, tmp_path / "named", images=["a3"])
    assert "1 image of split test, chosen by name" in text
    assert "a a3: 64 x 64 px" in text


def test_a_page_is_replaced_with_all_that_it_showed(
    full: Page, words: dict[str, str], data: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(full.folder, tmp_path / "out"))
    (out / "mine.png").write_bytes(b"a person's own")
    with pytest.raises(OutputError, match="exists already: pass --overwrite"):
        draw([words["edsr"]], data, out)
    text = draw([words["edsr"]], data, out, overwrite=True)
    assert {path.name for path in out.iterdir()} == {INDEX, "mine.png", *shown(text)}


def test_a_label_is_escaped(words: dict[str, str], data: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a<b>&c"
    odd.mkdir()
    with Image.open(data / "a1.png") as image:
        image.save(odd / "a<i>.png")
    text = draw([words["edsr"]], odd, tmp_path / "out")
    assert "a&lt;b&gt;&amp;c a&lt;i&gt;: 64" in text
    assert "a<i>" not in text


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"words": []}, ConfigError, "LABEL=WEIGHTS"),
        ({"images": ["z9"]}, ConfigError, "no image z9 .* a1, a2, a3"),
        ({"crop_px": 96}, InputError, "100 x 90 .*96 x 96"),
        ({"crop_px": 63}, ConfigError, "64 to 512 .*63"),
        ({"scale": 0.5}, ScaleError, "at least 1.*0.5"),
        ({"scale": float("nan")}, ScaleError, "at least 1.*nan"),
        ({"scale": 8.0}, ScaleError, "64 pixels .*x8"),
        ({"degradations": ("F",)}, ConfigError, "degradation F"),
        ({"data": Path("nowhere")}, DataError, "nowhere"),
        ({"compute": Compute("abacus")}, ConfigError, "no device abacus"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    wrong: dict[str, Any],
    error: type[HistoscaleError],
    sentence: str,
    words: dict[str, str],
    data: Path,
    tmp_path: Path,
) -> None:
    given = {"words": [words["edsr"]], "data": data, "output": tmp_path / "out", **wrong}
    with pytest.raises(error, match=sentence):
        draw(**given)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file(words: dict[str, str], data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        draw([words["edsr"]], data, tmp_path / "out")


def test_a_stop_leaves_the_earlier_page_as_it_was(
    alone: Page, words: dict[str, str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(alone.folder, tmp_path / "out"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "page", stop)
    with pytest.raises(KeyboardInterrupt):
        draw([words["edsr"]], data, out, overwrite=True, limit=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
