"""What fits and what does not."""

import pytest

from histoscale.errors import InputError
from histoscale.slides.memory import available_bytes, ensure_memory, in_words


def test_this_machine_has_some_memory() -> None:
    available = available_bytes()
    assert available is None or 2**24 < available < 2**50


def test_more_than_there_is_is_refused() -> None:
    if available_bytes() is None:
        pytest.skip("this system does not say how much memory it has")
    with pytest.raises(InputError, match=r"x\.png is too large \(1,024 TiB wanted, .* available\)\."):
        ensure_memory(2**50, InputError, "x.png is too large")


def test_little_passes() -> None:
    ensure_memory(1000, InputError, "x.png is too large")


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 bytes"), (1536, "1.5 KiB"), (2**30, "1 GiB"), (5 * 2**40, "5 TiB")]
)
def test_sizes_in_words(n: int, words: str) -> None:
    assert in_words(n) == words
