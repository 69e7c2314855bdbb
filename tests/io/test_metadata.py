"""Micrometres per pixel and power from the fields of scanners, ImageJ, OME and histoscale."""

import pytest

from histoscale.io.metadata import (
    OmeImage,
    Resolution,
    contradiction,
    first_known,
    from_density,
    from_lengths,
    from_provenance,
    parse_aperio,
    parse_ome,
    positive,
    possible_power,
)
from histoscale.io.slide import Mpp

APERIO = "Aperio Image Library v10.0.51\r\n46920x33014 Q=30|AppMag = 20|User = MPP|MPP = 0.4990|Left = 25.6"
OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Instrument ID="Instrument:0"><Objective ID="Objective:0" NominalMagnification="40"/></Instrument>
<Image ID="Image:0"><Pixels PhysicalSizeX="{x}" PhysicalSizeXUnit="{unit}" PhysicalSizeY="{y}"
PhysicalSizeYUnit="{unit}"><Channel ID="Channel:0" {channel}/></Pixels></Image></OME>"""


def ome_images(xml: str) -> tuple[OmeImage, ...]:
    document = parse_ome(xml)
    assert document is not None
    return document.images


def test_aperio_description() -> None:
    assert parse_aperio(APERIO) == (Mpp(0.499, 0.499), 20)


@pytest.mark.parametrize("text", ["", "MPPX = 0.5", "a photograph", "|MPP = 0|AppMag = ..", "|MPP = 0.5 cm|"])
def test_other_descriptions_say_nothing(text: str) -> None:
    assert parse_aperio(text) == (None, None)


@pytest.mark.parametrize(("x", "y", "unit"), [(0.25, 0.26, "µm"), (250, 260, "nm"), (0.00025, 0.00026, "mm")])
def test_ome_units(x: float, y: float, unit: str) -> None:
    (image,) = ome_images(OME.format(x=x, y=y, unit=unit, channel=""))
    assert image.resolution.mpp == pytest.approx((0.25, 0.26))
    assert (image.power, image.channels, image.is_fluorescence) == (40, 1, False)


def test_ome_in_pixels_has_no_mpp() -> None:
    (image,) = ome_images(OME.format(x=1, y=1, unit="pixel", channel=""))
    assert image.resolution == Resolution()


def test_an_unknown_unit_is_worth_a_remark() -> None:
    found = from_lengths((0.5, 0.5), ("furlong", "furlong"), "ImageJ calibration")
    assert found.mpp is None
    assert "ImageJ calibration" in (found.note or "")
    assert "furlong" in (found.note or "")


@pytest.mark.parametrize("side", [1e-300, 1e-30, 9e-4, 1100.0, 1e30])
def test_an_impossible_mpp_is_ignored_with_a_remark(side: float) -> None:
    found = first_known(Resolution(Mpp(side, side), "OME-XML"), Resolution(Mpp(0.5, 0.5), "b"))
    assert found.source == "b"
    alone = first_known(Resolution(Mpp(side, side), "OME-XML"))
    assert alone.mpp is None
    assert "OME-XML" in (alone.note or "")


def test_a_number_of_thousands_of_digits_is_none() -> None:
    assert positive(10**400) is None


@pytest.mark.parametrize(
    ("value", "power"), [("40", 40), (1.25, 1.25), (1e300, None), ("-1", None), ("x", None)]
)
def test_a_power_is_that_of_an_objective(value: object, power: float | None) -> None:
    assert possible_power(value) == power


def test_ome_tells_fluorescence() -> None:
    (image,) = ome_images(OME.format(x=1, y=1, unit="µm", channel='EmissionWavelength="525"'))
    assert image.is_fluorescence


def test_every_image_has_its_own_sizes_and_objective() -> None:
    objectives = (
        "<Objective ID='O:0' NominalMagnification='1'/><Objective ID='O:1' NominalMagnification='20'/>"
    )
    settings = ("<ObjectiveSettings ID='O:0'/>", "<ObjectiveSettings ID='O:1'/>")
    images = "".join(
        f"<Image Name='i{n}'>{setting}<Pixels SizeX='{n + 5}' SizeZ='{'9' * 50}'/></Image>"
        for n, setting in enumerate(settings)
    )
    macro, scan = ome_images(f"<OME><Instrument>{objectives}</Instrument>{images}</OME>")
    assert (macro.name, macro.power, macro.sizes["X"]) == ("i0", 1, 5)
    assert (scan.name, scan.power, scan.sizes["X"]) == ("i1", 20, 6)
    assert scan.sizes["Z"] == 1, "a number of fifty digits counts no planes"


@pytest.mark.parametrize("xml", ["", "<OME", "<OME></OME>", "no xml"])
def test_damaged_ome_counts_as_none(xml: str) -> None:
    assert parse_ome(xml) is None


@pytest.mark.parametrize("dpi", [50_901.8, 101_600, 25_400 / 9.9])
def test_a_microscopes_density_is_believed(dpi: float) -> None:
    found = from_density((dpi, dpi), "density")
    assert found.mpp == pytest.approx((25_400 / dpi, 25_400 / dpi))
    assert found.source == "density"


@pytest.mark.parametrize("dpi", [72, 96, 300, 600, 2400, 1e9])
def test_a_printers_density_is_not(dpi: float) -> None:
    found = from_density((dpi, dpi), "PNG pHYs density")
    assert found.mpp is None
    assert found.note is not None
    assert found.note.startswith("the PNG pHYs density of")


@pytest.mark.parametrize("density", [(0, 0), (1, 1), (float("nan"), 1)])
def test_no_density_is_no_reason_for_a_remark(density: tuple[float, float]) -> None:
    assert from_density(density, "density") == Resolution()


def test_the_first_known_mpp_is_chosen_and_remarks_are_kept() -> None:
    known, remark = Resolution(Mpp(1, 1), "a"), Resolution(note="b")
    assert first_known(Resolution(), known, remark) == known
    assert first_known(Resolution(), remark, known) == known._replace(note="b"), (
        "a field before it is unknown"
    )
    assert first_known(Resolution(), remark) == remark


@pytest.mark.parametrize("mpp", [None, [1], ["a", 1], [0, 1], "12"])
def test_a_record_with_a_strange_mpp_has_none(mpp: object) -> None:
    assert from_provenance({"histoscale": "1", "mpp": mpp}).mpp is None


@pytest.mark.parametrize("power", [40.0, 30.0, 27.0, 60.0])
def test_power_and_mpp_that_agree(power: float) -> None:
    assert contradiction(Mpp(0.25, 0.25), power) == ()


@pytest.mark.parametrize("power", [20.0, 26.0, 61.0])
def test_power_and_mpp_that_contradict_each_other(power: float) -> None:
    (remark,) = contradiction(Mpp(0.25, 0.25), power)
    assert remark == f"the objective power of {power:g} contradicts 0.25 um/px, which is that of 40x"


def test_nothing_contradicts_what_is_unknown() -> None:
    assert contradiction(None, 40.0) == ()
    assert contradiction(Mpp(0.25, 0.25), None) == ()


def test_our_own_record_in_ome_xml() -> None:
    record = '{"histoscale": "0.1.0", "mpp": [0.25, 0.26]}'
    annotation = f"<Value><M K='note'>x</M><M K='record'>{record.replace(chr(34), '&quot;')}</M></Value>"
    xml = (
        "<OME><Image><Pixels/></Image><StructuredAnnotations>"
        f"<MapAnnotation Namespace='histoscale/provenance'>{annotation}</MapAnnotation>"
        "</StructuredAnnotations></OME>"
    )
    found = parse_ome(xml)
    assert found is not None
    assert from_provenance(found.provenance.record).mpp == (0.25, 0.26)
