"""Tells losses of compression from other pixels."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from histoscale.errors import OutputError
from histoscale.io.writers.pyramid import ExpectedTile
from histoscale.io.writers.verify import VerificationError, refuse_difference, refuse_other_pixels, verifying

TARGET = Path("x.ome.tiff")
NOISE = np.random.default_rng(0).integers(0, 256, (100, 70, 3), np.uint8)
TILE = ExpectedTile(1, (512, 0), NOISE)


def test_equal_pixels_pass() -> None:
    refuse_other_pixels([TILE], True, lambda tile: tile.pixels.copy())


def test_one_grey_level_is_too_much_where_nothing_is_lost() -> None:
    other = NOISE.copy()
    other[50, 50, 1] ^= 1
    with pytest.raises(VerificationError, match=r"tile at \(512, 0\) of level 1"):
        refuse_other_pixels([TILE], True, lambda tile: other)


@pytest.mark.parametrize("quality", [1, 30, 90])
def test_the_worst_jpeg_of_the_worst_image_passes(quality: int) -> None:
    stored = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(NOISE, level=quality))
    refuse_other_pixels([TILE], False, lambda tile: stored)


@pytest.mark.parametrize(
    "other", [NOISE // 2, np.full_like(NOISE, 255), NOISE[:99].copy()], ids=["dark", "white", "short"]
)
def test_another_tile_does_not(other: np.ndarray) -> None:
    with pytest.raises(VerificationError, match="other pixels"):
        refuse_other_pixels([TILE], False, lambda tile: other)


def test_swapped_colours_do_not() -> None:
    pink = np.full_like(NOISE, (230, 150, 190))
    with pytest.raises(VerificationError, match="other pixels"):
        refuse_other_pixels([ExpectedTile(0, (0, 0), pink)], False, lambda _: pink[..., ::-1].copy())


def test_a_difference_is_said_with_both_values() -> None:
    refuse_difference("levels", 2, 2)
    with pytest.raises(OutputError, match=r"x\.ome\.tiff .*expected levels 2, found 1"), verifying(TARGET):
        refuse_difference("levels", 2, 1)


def test_a_decoder_that_fails_is_a_sentence() -> None:
    with pytest.raises(OutputError, match=r"cannot be read \(no such marker\)"), verifying(TARGET):
        raise ValueError("no such marker.\nmore")
