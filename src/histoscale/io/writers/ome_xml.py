"""The OME-XML of a slide: sizes, micrometres, objective, associated images and provenance.

https://docs.openmicroscopy.org/ome-model/6.2.2/ (schema 2016-06), whose order of elements is kept.
"""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from histoscale.io.provenance import NAMESPACE
from histoscale.io.writers.base import OutputSlide

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
INSTRUMENT, OBJECTIVE, RECORD = "Instrument:0", "Objective:0", "Annotation:0"


def ome_xml(slide: OutputSlide) -> bytes:
    """Write OME-XML for a file with the slide in page 0, followed by the associated images.

    It is in UTF-8, because Bio-Formats does not read ``&#181;`` and other character references.
    """
    root = Element("OME", {"xmlns": SCHEMA, "Creator": slide.provenance.software})
    if slide.power:
        instrument = SubElement(root, "Instrument", {"ID": INSTRUMENT})
        SubElement(instrument, "Objective", {"ID": OBJECTIVE, "NominalMagnification": f"{slide.power:g}"})
    _add_slide(root, slide)
    for page, (title, pixels) in enumerate(slide.associated.items(), start=1):
        height, width = pixels.shape[:2]
        _add_pixels(_add_image(root, page, title), page, (width, height), "RGB", {})
    _add_record(root, slide)
    return bytes(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True))


def _add_slide(root: Element, slide: OutputSlide) -> None:
    image = _add_image(root, 0, slide.provenance.source)
    SubElement(image, "Description").text = slide.provenance.note
    if slide.power:
        SubElement(image, "InstrumentRef", {"ID": INSTRUMENT})
        SubElement(image, "ObjectiveSettings", {"ID": OBJECTIVE})
    lengths: dict[str, str] = {}
    for axis, side in zip("XY", slide.mpp or (), strict=False):
        lengths |= {f"PhysicalSize{axis}": repr(float(side)), f"PhysicalSize{axis}Unit": "µm"}
    _add_pixels(image, 0, slide.size_xy, ", ".join(slide.channel_names), lengths)
    SubElement(image, "AnnotationRef", {"ID": RECORD})


def _add_image(root: Element, number: int, name: str) -> Element:
    printable = "".join(character for character in name if character.isprintable())
    return SubElement(root, "Image", {"ID": f"Image:{number}", "Name": printable})


def _add_pixels(
    image: Element, page: int, size_xy: tuple[int, int], channel: str, lengths: dict[str, str]
) -> None:
    """Add one plane with three interleaved samples, stored in the page of that number."""
    sizes = {"SizeX": str(size_xy[0]), "SizeY": str(size_xy[1]), "SizeC": "3", "SizeZ": "1", "SizeT": "1"}
    order = {"DimensionOrder": "XYCZT", "Type": "uint8", "Interleaved": "true"}
    pixels = SubElement(image, "Pixels", {"ID": f"Pixels:{page}", **order, **sizes, **lengths})
    SubElement(pixels, "Channel", {"ID": f"Channel:{page}:0", "Name": channel, "SamplesPerPixel": "3"})
    SubElement(pixels, "TiffData", {"IFD": str(page), "PlaneCount": "1"})


def _add_record(root: Element, slide: OutputSlide) -> None:
    """Add the note to be read, and the whole record for programs."""
    annotations = SubElement(root, "StructuredAnnotations")
    record = SubElement(annotations, "MapAnnotation", {"ID": RECORD, "Namespace": NAMESPACE})
    value = SubElement(record, "Value")
    for key, text in (("note", slide.provenance.note), ("record", slide.provenance.to_json())):
        SubElement(value, "M", {"K": key}).text = text
