"""Which images of a TIFF file are the slide, its lower levels, and its label, macro or thumbnail."""

import struct
from os import SEEK_END
from typing import BinaryIO, NamedTuple

import tifffile

from histoscale.errors import printable
from histoscale.io.metadata import OmeDocument, OmeImage
from histoscale.io.selection import MOST_ASSOCIATED_PX, Candidate, note_on_others, slide_among
from histoscale.io.tiff_tags import is_readable

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_IMAGES = 2_000
"""Images in a file. Slides have fewer than a hundred; tifffile takes a millisecond and 1.5 KiB for each."""
MOST_TAGS = 4_096
"""Tags of an image; a larger count is damage."""
SUBIFDS = 330
MOST_ASSOCIATED = 16
FULL_SIZE = 0.5
"""Pages of at least this share of the largest one's pixels are documents of several pages, not a slide."""


class TiffImages(NamedTuple):
    """The images of an opened file.

    Attributes:
        slide: the series that is upscaled.
        ome: what OME-XML says about it.
        levels: pages of all resolution levels, the full one first.
        associated: further images that are carried over, by name.
        pages: how many pages of about the size of the slide are beside it.
        note: a remark on images that are not the slide.
    """

    slide: tifffile.TiffPageSeries
    ome: OmeImage | None
    levels: list[tifffile.TiffPage]
    associated: dict[str, tifffile.TiffPage]
    pages: int
    note: str | None


def count_images(file: BinaryIO) -> int:
    """Count the images of a TIFF file, up to one more than `MOST_IMAGES`, without reading their tags.

    Images are a linked list, and each may have a list of SubIFDs: a few megabytes can hold millions.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    start = file.read(16)
    order = "<" if start.startswith(b"II") else ">"
    is_big = start[2:4] in (b"+\0", b"\0+")
    # BigTIFF counts in 64 bits; its first offset follows four bytes that state this.
    count_format, entry_bytes, value_format, first_at = ("Q", 20, "Q", 8) if is_big else ("H", 12, "I", 4)
    count_format, value_format = order + count_format, order + value_format
    found, (offset,) = 0, struct.unpack_from(value_format, start.ljust(16, b"\0"), first_at)
    while 0 < offset < size and found <= MOST_IMAGES:
        found += 1
        file.seek(offset)
        head = file.read(struct.calcsize(count_format))
        if len(head) < struct.calcsize(count_format):  # cut off, which the decoder reports
            break
        (tags,) = struct.unpack(count_format, head)
        entries = file.read(min(tags, MOST_TAGS) * entry_bytes)
        for entry in range(0, len(entries) - entry_bytes + 1, entry_bytes):
            if struct.unpack_from(order + "H", entries, entry)[0] == SUBIFDS:
                found += struct.unpack_from(value_format, entries, entry + 4)[0]
        following = file.read(struct.calcsize(value_format))
        if tags > MOST_TAGS or len(following) < struct.calcsize(value_format):
            break
        (offset,) = struct.unpack(value_format, following)
    file.seek(0)
    return found


def images_of(tiff: tifffile.TiffFile, document: OmeDocument | None) -> TiffImages:
    """Sort the images of an opened file with at least one image that has pixels."""
    described = dict(zip(tiff.series, _described(tiff, document), strict=True))
    series = [one for one in tiff.series if one.keyframe is not None and one.keyframe.imagewidth]
    series = series or list(tiff.series)
    candidates = [_candidate(number, one, described[one]) for number, one in enumerate(series, 1)]
    chosen = slide_among(candidates)
    slide, full = series[chosen], series[chosen].keyframe
    others = [n for n, one in enumerate(series) if n != chosen and not _is_level(tiff, one, full)]
    associated: dict[str, tifffile.TiffPage] = {}
    left_out = []
    for number in others:
        name, page = candidates[number].name, series[number].keyframe
        if document and _is_associated(series[number]) and len(associated) < MOST_ASSOCIATED:
            associated[name if name not in associated else f"{name} {number + 1}"] = page
        else:
            left_out.append(candidates[number])
    # A slide that comes after its label or macro is worth a remark, too.
    mentioned = [candidates[number] for number in others] if chosen else left_out
    pages = sum(
        len(series[n].pages)
        for n in others
        if document is None and series[n].keyframe.size >= FULL_SIZE * full.size
    )
    levels = _level_pages(tiff, slide, [one for one in series if one is not slide])
    note = note_on_others(candidates[chosen], mentioned)
    return TiffImages(slide, described[slide], levels, associated, pages, note)


def _described(tiff: tifffile.TiffFile, document: OmeDocument | None) -> list[OmeImage | None]:
    """Find for each series what OME-XML says; by name and size, since tifffile skips some images."""
    left = list(document.images) if document else []
    found: list[OmeImage | None] = []
    for series in tiff.series:
        lengths = dict(zip(series.axes, series.shape, strict=True))
        image = next(
            (
                image
                for image in left
                if (image.sizes["X"], image.sizes["Y"]) == (lengths.get("X"), lengths.get("Y"))
                and image.name == printable(series.name or "")
            ),
            left[0] if left and len(left) == len(tiff.series) - len(found) else None,
        )
        if image is not None:
            left.remove(image)
        found.append(image)
    return found


def _candidate(number: int, series: tifffile.TiffPageSeries, image: OmeImage | None) -> Candidate:
    page = series.keyframe
    size_xy = (page.imagewidth, page.imagelength) if page is not None else (0, 0)
    name = printable(series.name or "") or f"image {number}"
    return Candidate(name, size_xy, image.resolution.mpp if image else None)


def _is_associated(series: tifffile.TiffPageSeries) -> bool:
    """Whether an image beside the slide is small enough to be carried over, and readable."""
    page = series.keyframe
    is_small = page.imagewidth * page.imagelength <= MOST_ASSOCIATED_PX
    return is_small and len(series.pages) == 1 and page.dtype == "u1" and is_readable(page)


def _level_pages(
    tiff: tifffile.TiffFile, slide: tifffile.TiffPageSeries, others: list[tifffile.TiffPageSeries]
) -> list[tifffile.TiffPage]:
    """Find the pages of all levels, the full one first: SubIFDs, or pages of their own."""
    pages = [level.keyframe for level in slide.levels]
    if tiff.is_ome and len(pages) == len(slide.pages) == 1:  # OME-XML does not count chained levels
        listed = {page.offset for series in tiff.series for page in series.pages if page is not None}
        chain = (tiff.pages.get(number, aspage=True) for number in range(1, len(tiff.pages)))
        further = [page for page in chain if isinstance(page, tifffile.TiffPage)]
        pages += [page for page in further if page.offset not in listed and page.is_reduced]
    pages += [series.keyframe for series in others if _is_level(tiff, series, pages[0])]
    return pages[:1] + [page for page in pages[1:] if _is_reduction(page, pages[0])]


def _is_level(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, full: tifffile.TiffPage) -> bool:
    """Whether an image is a smaller copy of the slide: by its flag, or by its size as in old pyramids."""
    page = series.keyframe
    return page.is_reduced or (_is_reduction(page, full) and not tiff.is_ome)


def _is_reduction(page: tifffile.TiffPage, full: tifffile.TiffPage) -> bool:
    """Whether a page is smaller than the full one, with its proportions except for rounding to pixels."""
    across, down = full.imagewidth / page.imagewidth, full.imagelength / page.imagelength
    rounding = 1 / page.imagewidth + 1 / page.imagelength
    return across > 1.5 and abs(across / down - 1) < 0.02 + rounding
