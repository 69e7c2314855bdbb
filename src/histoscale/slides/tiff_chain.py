"""One pyramid for two kinds of readers: SubIFDs that can also be reached from page to page."""

import struct
from pathlib import Path

import tifffile


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
