"""OME-XML that Bio-Formats and our own reader take."""

from dataclasses import replace
from xml.etree import ElementTree

from histoscale.io.metadata import parse_ome
from histoscale.io.writers.base import OutputSlide
from histoscale.io.writers.ome_xml import SCHEMA, ome_xml

OME = f"{{{SCHEMA}}}"


def test_our_reader_finds_everything(finished_slide: OutputSlide) -> None:
    found = parse_ome(ome_xml(finished_slide).decode("utf-8"))
    assert found is not None
    image = found.images[0]
    assert (image.resolution.mpp, image.power, image.is_fluorescence) == ((0.25, 0.2600001), 40, False)
    assert found.provenance.record is not None
    assert found.provenance.record["source"] == "a & b.svs"


def test_there_is_no_character_reference(finished_slide: OutputSlide) -> None:
    """Bio-Formats takes the file for another kind where it finds one."""
    xml = ome_xml(finished_slide)
    assert b"&#" not in xml
    assert 'PhysicalSizeXUnit="µm"'.encode() in xml


def test_elements_are_in_the_order_of_the_schema(finished_slide: OutputSlide) -> None:
    root = ElementTree.fromstring(ome_xml(finished_slide))
    names = [element.tag.removeprefix(OME) for element in root]
    assert names == ["Instrument", "Image", "Image", "Image", "StructuredAnnotations"]
    assert [element.tag.removeprefix(OME) for element in root[1]] == [
        *["Description", "InstrumentRef", "ObjectiveSettings", "Pixels", "AnnotationRef"]
    ]


def test_images_name_their_pages(finished_slide: OutputSlide) -> None:
    root = ElementTree.fromstring(ome_xml(finished_slide))
    images = root.findall(f"{OME}Image")
    assert [image.get("Name") for image in images] == ["a & b.svs", "label", "macro"]
    pages = [image.find(f"{OME}Pixels/{OME}TiffData") for image in images]
    assert [page.get("IFD") for page in pages if page is not None] == ["0", "1", "2"]


def test_unprintable_names_are_cleaned(finished_slide: OutputSlide) -> None:
    record = replace(finished_slide.provenance, source="a\x01\udce4\n.svs")
    root = ElementTree.fromstring(ome_xml(replace(finished_slide, provenance=record)))
    assert root.findall(f"{OME}Image")[0].get("Name") == "a.svs"
