"""Images as arrays and tensors: grey levels by hand, and impossible sizes."""

from inspect import unwrap

import pytest
import torch

from histoscale.errors import ScaleError
from histoscale.imaging.arrays import output_size, to_uint8


def test_to_uint8_by_hand() -> None:
    levels = torch.tensor([-0.1, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 1.2]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(levels)[0, 0, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize(
    ("size", "scale", "message"),
    [
        (None, None, "neither"),
        ((8, 8), 2.0, "both"),
        (None, float("nan"), "finite"),
        (None, float("inf"), "finite"),
        (None, 0.5, "Pillow"),
        (None, 0.0, "Pillow"),
        (None, -2.0, "Pillow"),
        ((3, 8), None, "Pillow"),
        ((8.5, 8), None, "whole"),
        ((8, 8, 3), None, "whole"),
    ],
)
def test_impossible_sizes_are_refused_in_one_sentence(
    size: tuple[int, int] | None, scale: float | None, message: str
) -> None:
    with pytest.raises(ScaleError, match=message):
        unwrap(output_size)((4, 4), size, scale)  # without the tests' own type checks
