"""What all writers are given is possible, and what they share is exact."""

from typing import Any

import pytest

from histoscale.errors import OutputError
from histoscale.io.writers.base import DENSITY_UM, Encoding, fitting_profile, per_centimetre


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"quality": 0}, "--quality .* 0"),
        ({"quality": 101}, "--quality .* 101"),
        ({"tile_px": 100}, "multiple of 16 px, but is 100"),
        ({"tile_px": 0}, "multiple of 16 px, but is 0"),
    ],
)
def test_impossible_values_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OutputError, match=sentence):
        Encoding(**{"compression": "jpeg", "quality": 90} | wrong)


@pytest.mark.parametrize(
    ("compression", "quality", "is_lossless"),
    [("jpeg", 100, False), ("jpeg2000", 90, False), ("jpeg2000", 100, True), ("zstd", 10, True)],
)
def test_what_is_lossless(compression: Any, quality: int, is_lossless: bool) -> None:
    assert Encoding(compression, quality).is_lossless == is_lossless


@pytest.mark.parametrize("mpp", [0.25, 0.499, 0.499 / 2.7, 28.97, *DENSITY_UM])
def test_densities_are_fractions_of_32_bits(mpp: float) -> None:
    above, below = per_centimetre(mpp)
    assert above / below == pytest.approx(10_000 / mpp, rel=1e-6)
    assert max(above, below) < 2**32


def test_a_profile_of_another_number_of_channels_is_dropped() -> None:
    grey, rgb = (bytes(16) + space + bytes(108) for space in (b"GRAY", b"RGB "))
    assert (fitting_profile(grey, 3), fitting_profile(grey, 1)) == (None, grey)
    assert (fitting_profile(rgb, 3), fitting_profile(rgb, 1)) == (rgb, None)
    for other in (b"CMYK", b"Lab ", b"3CLR"):
        assert fitting_profile(bytes(16) + other + bytes(108), 3) is None
    assert fitting_profile(rgb[:100], 3) is None
    assert fitting_profile(None, 3) is None
