"""OME-TIFF pyramids through tifffile: one file whose levels are SubIFDs, chained pages, or both."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import openslide
import tifffile
from jaxtyping import UInt8

from histoscale.errors import OutputError
from histoscale.io.writers.base import DENSITY_UM, Encoding, OutputSlide, per_centimetre
from histoscale.io.writers.ome_xml import ome_xml
from histoscale.io.writers.pyramid import ExpectedTile, PyramidLevels, full_tile
from histoscale.io.writers.verify import refuse_difference, refuse_other_pixels

CLASSIC_BYTES = 2**31
"""Uncompressed size above which BigTIFF is written. Below it, lower levels (a third) and noise, which makes
JPEG larger than the pixels, keep a file under the 4 GiB of classic TIFF."""
REDUCED = 1
"""NewSubfileType of a reduced image."""
OPENSLIDE_READS = ("jpeg", "zstd", "deflate", "none")
FULL_COLOUR_QUALITY = 95
"""From this quality JPEG stores colour at full density: halving it would lose more than the compression."""
THREADS, BATCH_BYTES = 4, 2**24
"""Threads of the encoder, and bytes that it receives at once."""


def chain_pages(path: Path) -> None:
    """Append the SubIFDs of page 0 to the chain of pages; only pointers are written.

    The lower levels stay SubIFDs of page 0 for readers of OME-TIFF. In the chain, which OpenSlide reads, they
    follow the last page, so that no page changes its number.
    """
    with tifffile.TiffFile(path) as tiff:
        last, levels, form = tiff.pages[-1].offset, list(tiff.pages.first.subifds or ()), tiff.tiff
    with path.open("r+b") as file:
        for page, following in zip([last, *levels], levels, strict=False):
            file.seek(page)
            # An IFD is a count, that many tags, and the offset of the next IFD.
            (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
            file.seek(page + form.tagnosize + count * form.tagsize)
            file.write(struct.pack(form.offsetformat, following))


def refuse_unreadable(target: Path, encoding: Encoding) -> None:
    """Raise `OutputError` for a layout for OpenSlide with a compression that OpenSlide does not read."""
    if encoding.layout != "ome" and encoding.compression not in OPENSLIDE_READS:
        raise OutputError(
            f"{target}: OpenSlide does not read {encoding.compression} in TIFF: give --layout ome."
        )


def write_ome_tiff(partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels) -> None:
    """Write the file ``partial``."""
    with partial.open("wb") as file:
        _write_pages(file, ome_xml(slide), slide, encoding, levels)
    if encoding.layout == "both":
        chain_pages(partial)


def _write_pages(
    file: BinaryIO, xml: bytes, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels
) -> None:
    """Write all pages: tifffile makes SubIFDs of levels directly after page 0; chained ones come last."""
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
    """Whether offsets may exceed 4 GiB."""
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
        _full_tiles(levels.tiles(level), encoding),
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


def _full_tiles(tiles: Iterator[UInt8[np.ndarray, "h w 3"]], encoding: Encoding) -> Any:
    """Fill up tiles; uncompressed ones become bytes: for arrays tifffile hides the error of a full disk."""
    full = (full_tile(tile, encoding.tile_px) for tile in tiles)
    return (tile.tobytes() for tile in full) if encoding.compression == "none" else full


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
    """Choose YCbCr with colour at half density, as scanners do, or RGB, as libvips does.

    YCbCr at full density is not used, because Bio-Formats shows it in wrong colours
    (ome/bioformats#3711).
    """
    if quality < FULL_COLOUR_QUALITY:
        return {"compressionargs": {"level": quality}, "subsampling": (2, 2)}
    return {"compressionargs": {"level": quality, "outcolorspace": "rgb"}, "subsampling": (1, 1)}


def _density(slide: OutputSlide, level: int) -> dict[str, Any]:
    """Make the resolution tags of a level, from which OpenSlide reads the mpp."""
    low, high = DENSITY_UM
    sides = [side * 2**level for side in slide.mpp or ()]
    if not sides or min(sides) < low or max(sides) > high:
        return {}
    return {"resolution": tuple(per_centimetre(side) for side in sides), "resolutionunit": "CENTIMETER"}


def _write_associated(tiff: tifffile.TiffWriter, slide: OutputSlide) -> None:
    """Write associated images in strips, because OpenSlide takes a tiled page for a level."""
    for pixels in slide.associated.values():
        tiff.write(pixels, photometric="rgb", compression="deflate", predictor=True, metadata=None)


def verify_ome_tiff(partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels) -> None:
    """Raise `VerificationError` if the file is not what was meant, as tifffile and OpenSlide read it."""
    with tifffile.TiffFile(partial) as tiff:
        pages = level_pages(tiff, encoding)
        sizes = tuple((page.imagewidth, page.imagelength) for page in pages)
        refuse_difference("levels", levels.sizes_xy, sizes)
        refuse_difference("number of images", 1 + len(slide.associated), len(tiff.series))
        for level, page in enumerate(pages):
            _refuse_other_density(slide, level, page)
            _refuse_truncated(page, partial.stat().st_size)
        refuse_other_pixels(
            levels.expected_tiles, encoding.is_lossless, lambda tile: _decoded(pages[tile.level], tile)
        )
    if encoding.layout != "ome":
        with openslide.OpenSlide(partial) as opened:
            refuse_difference("levels in OpenSlide", levels.sizes_xy, opened.level_dimensions)


def level_pages(tiff: tifffile.TiffFile, encoding: Encoding) -> list[tifffile.TiffPage]:
    """Find the pages of all levels as readers of the layout do."""
    if encoding.layout == "openslide":
        first, *others = (page.aspage() for page in tiff.pages)
        return [first, *(page for page in others if page.is_reduced)]
    return [level.keyframe for level in tiff.series[0].levels]


def _refuse_other_density(slide: OutputSlide, level: int, page: tifffile.TiffPage) -> None:
    meant = _density(slide, level).get("resolution")
    if meant:
        found = page.tags.valueof("XResolution"), page.tags.valueof("YResolution")
        refuse_difference(f"resolution at level {level}", meant, found)


def _refuse_truncated(page: tifffile.TiffPage, length: int) -> None:
    counts = np.asarray(page.databytecounts)
    is_missing = (counts == 0) | (np.asarray(page.dataoffsets) + counts > length)
    refuse_difference("number of missing tiles", 0, int(is_missing.sum()))


def _decoded(page: tifffile.TiffPage, expected: ExpectedTile) -> UInt8[np.ndarray, "h w 3"]:
    x, y = expected.level_xy
    index = y // page.tilelength * -(-page.imagewidth // page.tilewidth) + x // page.tilewidth
    file = page.parent.filehandle
    file.seek(page.dataoffsets[index])
    stored = file.read(page.databytecounts[index])  # first: page.decode moves the position of the file
    tile, _, _ = page.decode(stored, index)
    height, width = expected.pixels.shape[:2]
    return np.asarray(tile)[0, :height, :width]
