"""Units of length in every spelling that programs use."""

import pytest

from histoscale.io.units import um_per

MICROMETRES = [
    *["µm", "μm", "um", "UM", " um ", "㎛", "Âµm", "\\u00B5m", "\\u03bcm", "&micro;m", "&#181;m", "µ"],
    *["micron", "Micron", "microns", "MICRONS", "micrometer", "Micrometre", "micrometers", "micrometres"],
]


@pytest.mark.parametrize("unit", MICROMETRES)
def test_a_micrometre_in_every_spelling(unit: str) -> None:
    assert um_per(unit) == 1


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        *[("nm", 1e-3), ("pm", 1e-6), ("mm", 1e3), ("MM", 1e3), ("Mm", 1e12), ("cm", 1e4), ("m", 1e6)],
        *[("dam", 1e7), ("km", 1e9), ("Å", 1e-4), ("\N{ANGSTROM SIGN}", 1e-4), ("angstroms", 1e-4)],
        *[("nanometre", 1e-3), ("Millimeters", 1e3), ("decimetre", 1e5), ("yottameter", 1e30)],
        *[("in", 25_400), ("inch", 25_400), ("inches", 25_400), ("thou", 25.4), ("feet", 304_800)],
        *[("yard", 914_400), ("miles", 1.609344e9), ("pt", 25_400 / 72), ("parsec", 3.0856775814913673e22)],
    ],
)
def test_other_lengths(unit: str, um: float) -> None:
    assert um_per(unit) == pytest.approx(um, rel=1e-12)


@pytest.mark.parametrize("unit", [None, "", "pixel", "reference frame", "furlong", "s", "metr", "um" * 10**6])
def test_what_is_not_a_length(unit: str | None) -> None:
    assert um_per(unit) is None
