"""Which weights stand for a model at a scale."""

import pytest

from histoscale.experiments.methods import Entry, Member, WeightsFile

TWO, FOUR = WeightsFile("two", "2", 2), WeightsFile("four", "4", 4)
FIXED, ANY = Member("edsr", (FOUR, TWO)), Member("net", (WeightsFile("net", "n"),))


@pytest.mark.parametrize(
    ("scale", "resized", "plain"),
    [
        (2.0, Entry("edsr", TWO), Entry("edsr", TWO)),
        (4.0, Entry("edsr", FOUR), Entry("edsr", FOUR)),
        (1.5, Entry("edsr", TWO, 2), Entry("edsr", TWO)),
        (2.4, Entry("edsr", FOUR, 4), Entry("edsr", FOUR)),
        (6.0, Entry("edsr", FOUR, 4), Entry("edsr", FOUR)),
    ],
)
def test_the_next_larger_scale_or_the_largest(scale: float, resized: Entry, plain: Entry) -> None:
    assert FIXED.entry(scale, allow_resize=True) == resized
    assert FIXED.entry(scale) == plain


def test_any_scale_is_never_resized() -> None:
    assert ANY.entry(2.4, allow_resize=True) == Entry("net", ANY.files[0])
