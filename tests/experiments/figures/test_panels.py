"""Sheets of images: each pixel a whole square, bars of round length, blocks of equal width."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.experiments.figures.panels import (
    DPI,
    GAP_PX,
    ColourBar,
    Panel,
    as_squares,
    bar_length_um,
    coloured,
    draw_sheet,
    wrapped,
)


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_every_pixel_is_a_square_of_whole_screen_pixels(tmp_path: Path) -> None:
    whole, detail = noise(192), noise(64)
    draw_sheet([[Panel(whole), None, Panel(detail)]], 192).savefig(tmp_path / "sheet.png", dpi=DPI)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    for image, zoom, left in ((whole, 2, GAP_PX), (detail, 6, GAP_PX + 2 * (384 + GAP_PX))):
        expected = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
        assert np.array_equal(sheet[GAP_PX : GAP_PX + 384, left : left + 384], expected)


def test_small_images_are_shown_large_enough_for_their_titles() -> None:
    figure = draw_sheet([[Panel(noise(64), "a title", "a note")]], 64)
    assert figure.get_size_inches()[0] * DPI == pytest.approx(384 + 2 * GAP_PX)
    figure = draw_sheet([[Panel(noise(64), "a very long title that does not fit")]], 64)
    assert figure.axes[0].texts[0].get_text() == "a very long title that d…"


def test_only_formulas_are_set_as_mathematics(tmp_path: Path) -> None:
    figure = draw_sheet([[Panel(noise(64), "$F_{LR}$, channel 3"), Panel(noise(64), r"x$\frac$")]], 64)
    figure.savefig(tmp_path / "sheet.png", dpi=DPI)
    assert [axes.texts[0].get_parse_math() for axes in figure.axes] == [True, False]


def test_a_sheet_has_room_for_its_texts_and_bar(tmp_path: Path) -> None:
    bare = draw_sheet([[Panel(noise(96))]], 96).get_size_inches()[1]
    titled = draw_sheet([[Panel(noise(96), "title", "note", mpp=0.25)]], 96, ColourBar(40, "errors"))
    titled.savefig(tmp_path / "sheet.png", dpi=DPI)
    assert titled.get_size_inches()[1] > bare + 0.5
    assert [text.get_text() for text in titled.axes[0].texts] == ["note", "title", "5 µm"]


@pytest.mark.parametrize(
    ("width", "length"), [(119.0, 20), (48.0, 10), (30.0, 10), (29.9, 5), (3.0, 1), (0.9, 0.2), (4000, 1000)]
)
def test_a_scale_bar_is_round_and_at_most_a_third(width: float, length: float) -> None:
    assert bar_length_um(width) == pytest.approx(length)


def test_blocks_are_of_equal_width() -> None:
    columns = [[Panel(noise(8), f"{row}{column}") for row in "ab"] for column in range(8)]
    titles = [[panel.title for panel in row if panel] for row in wrapped(columns)]
    assert titles == [
        ["a0", "a1", "a2", "a3"],
        ["b0", "b1", "b2", "b3"],
        ["a4", "a5", "a6", "a7"],
        ["b4", "b5", "b6", "b7"],
    ]
    assert [len(row) for row in wrapped(columns[:6])] == [6, 6]


def test_low_resolution_pixels_are_squares_of_the_truth() -> None:
    lr = noise(3)
    assert np.array_equal(as_squares(lr, (6, 6)), lr.repeat(2, axis=0).repeat(2, axis=1))
    assert as_squares(lr, (7, 8)).shape == (7, 8, 3)


def test_colours_run_from_low_to_high_and_stop() -> None:
    shades = coloured(np.array([[0.0, 5.0, 10.0, 99.0]]), 0, 10)
    assert np.array_equal(shades[0, 2], shades[0, 3])
    assert shades[0].astype(int).sum(axis=1)[:3].tolist() == sorted(shades[0].astype(int).sum(axis=1)[:3])
