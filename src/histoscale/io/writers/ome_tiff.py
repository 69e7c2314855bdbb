"""OME-TIFF pyramids, through tifffile: one file whose levels are SubIFDs, chained pages, or both."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import openslide
import tifffile
from jaxtyping import UInt8

from histoscale.errors import OutputError
from histoscale.files import atomic_write
from histoscale.io.provenance import NAMESPACE
from histoscale.io.writers.base import DENSITY_UM, Encoding, OutputSlide, per_centimetre
from histoscale.io.writers.pyramid import PyramidLevels, Sample, full_tile
from histoscale.io.writers.verify import refuse_difference, refuse_other_pixels, rereading

# The OME-XML of a slide: sizes, micrometres, objective, associated images, and how it came about.
#
# https://docs.openmicroscopy.org/ome-model/6.2.2/ (schema 2016-06), whose order of elements is kept.


SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
INSTRUMENT, OBJECTIVE, RECORD = "Instrument:0", "Objective:0", "Annotation:0"


def ome_xml(slide: OutputSlide) -> bytes:
    """An OME-XML document for a file that holds the slide in page 0 and what is associated after it.

    In UTF-8: Bio-Formats takes no character references, hence no micro sign in ASCII.
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
    """One plane with three interleaved samples, in the page of that number."""
    sizes = {"SizeX": str(size_xy[0]), "SizeY": str(size_xy[1]), "SizeC": "3", "SizeZ": "1", "SizeT": "1"}
    order = {"DimensionOrder": "XYCZT", "Type": "uint8", "Interleaved": "true"}
    pixels = SubElement(image, "Pixels", {"ID": f"Pixels:{page}", **order, **sizes, **lengths})
    SubElement(pixels, "Channel", {"ID": f"Channel:{page}:0", "Name": channel, "SamplesPerPixel": "3"})
    SubElement(pixels, "TiffData", {"IFD": str(page), "PlaneCount": "1"})


def _add_record(root: Element, slide: OutputSlide) -> None:
    """The note for people and the whole record for programs."""
    annotations = SubElement(root, "StructuredAnnotations")
    record = SubElement(annotations, "MapAnnotation", {"ID": RECORD, "Namespace": NAMESPACE})
    value = SubElement(record, "Value")
    for key, text in (("note", slide.provenance.note), ("record", slide.provenance.to_json())):
        SubElement(value, "M", {"K": key}).text = text


# One pyramid for two kinds of readers: SubIFDs that can also be reached from page to page.


def chain_pages(path: Path) -> None:
    """Append the SubIFDs of page 0 to the chain of pages; nothing is written but pointers.

    The lower levels stay children of page 0, as OME-TIFF has it, and come after the last page, as OpenSlide
    wants it, so that no page changes its number.
    """
    with tifffile.TiffFile(path) as tiff:
        last, levels, form = tiff.pages[-1].offset, list(tiff.pages.first.subifds or ()), tiff.tiff
    with path.open("r+b") as file:
        for page, following in zip([last, *levels], levels, strict=False):
            file.seek(page)
            (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
            file.seek(page + form.tagnosize + count * form.tagsize)
            file.write(struct.pack(form.offsetformat, following))


CLASSIC_BYTES = 2**31
"""Uncompressed; a third for the lower levels and what noise adds in JPEG stay below 4 GiB with it."""
REDUCED = 1
"""NewSubfileType of a level."""
OPENSLIDE_READS = ("jpeg", "zstd", "deflate", "none")
FULL_COLOUR_QUALITY = 95
"""From here JPEG keeps colour as exactly as light: the loss of halved colour would outweigh all others."""
THREADS, BATCH_BYTES = 4, 2**24
"""Of the encoder, and what it takes at once."""


def refuse_unreadable(target: Path, encoding: Encoding) -> None:
    """Raise `OutputError` for a layout made for a reader that does not know the compression."""
    if encoding.layout != "ome" and encoding.compression not in OPENSLIDE_READS:
        raise OutputError(
            f"{target}: OpenSlide does not read {encoding.compression} in TIFF: give --layout ome."
        )


def write_ome_tiff(
    target: Path, slide: OutputSlide, encoding: Encoding, scratch: Path, overwrite: bool
) -> None:
    """Write ``target`` whole or not at all.

    Raises:
        OutputError: if it cannot be written, or not be read back as it was meant.
    """
    with (
        atomic_write(target, overwrite=overwrite) as temporary,
        PyramidLevels(slide, encoding.tile_px, scratch) as levels,
    ):
        with temporary.open("wb") as file:
            _write_pages(file, ome_xml(slide), slide, encoding, levels)
        if encoding.layout == "both":
            chain_pages(temporary)
        with rereading(target):
            _read_back(target, temporary, slide, encoding, levels)


def _write_pages(
    file: BinaryIO, xml: bytes, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels
) -> None:
    """Levels directly after page 0 are its SubIFDs; in a chain they come last, so that page numbers stay."""
    lower, are_chained = len(levels.sizes_xy) - 1, encoding.layout == "openslide"
    with tifffile.TiffWriter(file, bigtiff=needs_big_tiff(slide.size_xy), ome=False, shaped=False) as tiff:
        head = {
            "description": xml,
            "software": slide.provenance.software,
            "iccprofile": slide.fitting_profile,
        }
        _write_level(tiff, 0, slide, encoding, levels, subifds=None if are_chained else lower or None, **head)
        if are_chained:
            _write_associated(tiff, slide)
        for level in range(1, lower + 1):
            _write_level(tiff, level, slide, encoding, levels, subfiletype=REDUCED)
        if not are_chained:
            _write_associated(tiff, slide)


def needs_big_tiff(size_xy: tuple[int, int]) -> bool:
    """Whether offsets may pass 4 GiB."""
    return 3 * size_xy[0] * size_xy[1] > CLASSIC_BYTES


def _write_level(
    tiff: tifffile.TiffWriter,
    level: int,
    slide: OutputSlide,
    encoding: Encoding,
    levels: PyramidLevels,
    **page: Any,
) -> None:
    width, height = levels.sizes_xy[level]
    side = encoding.tile_px
    tiff.write(
        _filled_up_tiles(levels.tiles(level), encoding),
        shape=(height, width, 3),
        dtype=np.uint8,
        tile=(side, side),
        photometric="rgb",
        planarconfig="contig",
        metadata=None,
        maxworkers=THREADS,
        buffersize=BATCH_BYTES,
        **_codec(encoding),
        **_density(slide, level),
        **page,
    )


def _filled_up_tiles(tiles: Iterator[UInt8[np.ndarray, "h w 3"]], encoding: Encoding) -> Any:
    """Arrays or, uncompressed, bytes: as arrays those would take a way that hides why a disk refuses."""
    filled_up = (full_tile(tile, encoding.tile_px) for tile in tiles)
    return (tile.tobytes() for tile in filled_up) if encoding.compression == "none" else filled_up


def _codec(encoding: Encoding) -> dict[str, Any]:
    match encoding.compression:
        case "jpeg":
            return {"compression": "jpeg", **_jpeg(encoding.quality)}
        case "jpeg2000":
            return {"compression": "jpeg2000", "compressionargs": {"level": encoding.jpeg2000_db}}
        case "none":
            return {}
        case _:
            return {"compression": encoding.compression, "predictor": True}


def _jpeg(quality: int) -> dict[str, Any]:
    """YCbCr with colour at half density as scanners have it, or RGB as libvips has it.

    YCbCr at full density would lie between the two, but Bio-Formats shows it in wrong colours
    (ome/bioformats#3711).
    """
    if quality < FULL_COLOUR_QUALITY:
        return {"compressionargs": {"level": quality}, "subsampling": (2, 2)}
    return {"compressionargs": {"level": quality, "outcolorspace": "rgb"}, "subsampling": (1, 1)}


def _density(slide: OutputSlide, level: int) -> dict[str, Any]:
    """OpenSlide knows micrometres from these tags alone."""
    low, high = DENSITY_UM
    sides = [side * 2**level for side in slide.mpp or ()]
    if not sides or min(sides) < low or max(sides) > high:
        return {}
    return {"resolution": tuple(per_centimetre(side) for side in sides), "resolutionunit": "CENTIMETER"}


def _write_associated(tiff: tifffile.TiffWriter, slide: OutputSlide) -> None:
    """In strips: what is tiled OpenSlide would take for a level."""
    for pixels in slide.associated.values():
        tiff.write(pixels, photometric="rgb", compression="deflate", predictor=True, metadata=None)


def _read_back(
    target: Path, partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels
) -> None:
    with tifffile.TiffFile(partial) as tiff:
        pages = level_pages(tiff, encoding)
        sizes = tuple((page.imagewidth, page.imagelength) for page in pages)
        refuse_difference(target, "levels", levels.sizes_xy, sizes)
        refuse_difference(target, "number of images", 1 + len(slide.associated), len(tiff.series))
        for level, page in enumerate(pages):
            _refuse_other_density(target, slide, level, page)
            _refuse_truncated(target, page, partial.stat().st_size)
        refuse_other_pixels(
            target, levels.samples, encoding.is_lossless, lambda sample: _decoded(pages[sample.level], sample)
        )
    if encoding.layout != "ome":
        with openslide.OpenSlide(partial) as opened:
            refuse_difference(target, "levels in OpenSlide", levels.sizes_xy, opened.level_dimensions)


def level_pages(tiff: tifffile.TiffFile, encoding: Encoding) -> list[tifffile.TiffPage]:
    """The pages of all levels in the way that the layout promises."""
    if encoding.layout == "openslide":
        first, *others = (page.aspage() for page in tiff.pages)
        return [first, *(page for page in others if page.is_reduced)]
    return [level.keyframe for level in tiff.series[0].levels]


def _refuse_other_density(target: Path, slide: OutputSlide, level: int, page: tifffile.TiffPage) -> None:
    meant = _density(slide, level).get("resolution")
    if meant:
        found = page.tags.valueof("XResolution"), page.tags.valueof("YResolution")
        refuse_difference(target, f"resolution at level {level}", meant, found)


def _refuse_truncated(target: Path, page: tifffile.TiffPage, length: int) -> None:
    counts = np.asarray(page.databytecounts)
    is_missing = (counts == 0) | (np.asarray(page.dataoffsets) + counts > length)
    refuse_difference(target, "number of missing tiles", 0, int(is_missing.sum()))


def _decoded(page: tifffile.TiffPage, sample: Sample) -> UInt8[np.ndarray, "h w 3"]:
    x, y = sample.level_xy
    index = y // page.tilelength * -(-page.imagewidth // page.tilewidth) + x // page.tilewidth
    file = page.parent.filehandle
    file.seek(page.dataoffsets[index])
    stored = file.read(page.databytecounts[index])
    tile, _, _ = page.decode(stored, index)  # asking for the decoder moves the file's position
    height, width = sample.pixels.shape[:2]
    return np.asarray(tile)[0, :height, :width]
