"""An encoding is one that can be stored."""

from typing import Any

import pytest

from histoscale.errors import OutputError
from histoscale.io.writers.base import Encoding


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"quality": 0}, "1 to 100, and 0"),
        ({"quality": 101}, "1 to 100, and 101"),
        ({"tile_px": 100}, "multiples of 16 px, and 100"),
        ({"tile_px": 0}, "multiples of 16 px, and 0"),
    ],
)
def test_impossible_values_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OutputError, match=sentence):
        Encoding(**wrong)


@pytest.mark.parametrize(
    ("compression", "quality", "is_lossless"),
    [("jpeg", 100, False), ("jpeg2000", 90, False), ("jpeg2000", 100, True), ("zstd", 10, True)],
)
def test_what_is_lossless(compression: Any, quality: int, is_lossless: bool) -> None:
    assert Encoding(compression, quality).is_lossless == is_lossless
