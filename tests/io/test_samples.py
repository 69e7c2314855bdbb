"""Orientation, bit depth and opacity, on arrays small enough to see."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from histoscale.errors import InputError
from histoscale.io.samples import to_eight_bits, unpremultiplied, upright, upright_size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_does(orientation: int) -> None:
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(image))
    found = upright(array, orientation)
    assert np.array_equal(found, wanted)
    assert upright_size((3, 2), orientation) == (wanted.shape[1], wanted.shape[0])


@pytest.mark.parametrize(
    ("bits", "value", "wanted"), [(16, 65535, 255), (16, 128 * 257, 128), (12, 4095, 255), (1, 1, 255)]
)
def test_full_range_becomes_full_range(bits: int, value: int, wanted: int) -> None:
    array = np.array([[0, value]], np.uint16)
    assert to_eight_bits(array, bits, "x.tif").tolist() == [[0, wanted]]


def test_eight_bits_stay() -> None:
    array = np.array([[0, 7, 255]], np.uint8)
    assert np.array_equal(to_eight_bits(array, 8, "x.tif"), array)


def test_twelve_bits_in_a_sixteen_bit_file_are_refused() -> None:
    with pytest.raises(InputError, match=r"x\.tif has 16-bit samples that end at 4000 of 65535"):
        to_eight_bits(np.array([[4000]], np.uint16), 16, "x.tif")


def test_premultiplied_colours_come_back() -> None:
    alpha = np.array([[255, 128, 0]], np.uint8)
    colour = np.array([[[200], [100], [0]]], np.uint8)
    assert unpremultiplied(colour, alpha)[0, :, 0].tolist() == [200, 199, 0]
