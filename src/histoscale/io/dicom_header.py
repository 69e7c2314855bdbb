"""Which kind of object and which series a DICOM file holds, from its first elements.

A slide in DICOM is a series: one file for each level, label and overview, under any names. OpenSlide finds
the files of a series once one of them is opened.

https://dicom.nema.org/medical/dicom/current/output/chtml/part05/chapter_7.html describes the elements.
"""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from histoscale.errors import InputError, printable
from histoscale.io.decoding import open_file

MAGIC, MAGIC_AT = b"DICM", 128
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""Class of VL Whole Slide Microscopy images."""
SOP_CLASS, TRANSFER_SYNTAX, SERIES = (0x0002, 0x0002), (0x0002, 0x0010), (0x0020, 0x000E)
IMPLICIT = "1.2.840.10008.1.2"
"""Transfer syntax in which elements do not state their representation."""
LONG_REPRESENTATIONS = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"SQ",
    b"SV",
    b"UC",
    b"UN",
    b"UR",
    b"UT",
    b"UV",
)
"""Representations whose length has 32 bits."""
ITEM, END_OF_ITEM, END_OF_SEQUENCE = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
UNDEFINED = 2**32 - 1
MOST_ELEMENTS = 10_000
DEEPEST = 20
LONGEST_UID = 64


class DicomHeader(NamedTuple):
    """Identifiers of the class of object and of the series; the latter is empty if it was not found."""

    sop_class: str
    series: str


def is_dicom(file: BinaryIO) -> bool:
    """Whether an opened file starts as DICOM does."""
    file.seek(MAGIC_AT)
    found = file.read(len(MAGIC))
    file.seek(0)
    return found == MAGIC


def read_header(file: BinaryIO) -> DicomHeader | None:
    """Read the identifiers of an opened file; None if it is not DICOM."""
    if not is_dicom(file):
        return None
    found = _Elements(file).identifiers()
    file.seek(0)
    return DicomHeader(printable(found.get(SOP_CLASS, "")), printable(found.get(SERIES, "")))


def series_in(folder: Path) -> dict[str, Path]:
    """Find the slides in a folder: series, and the largest file of each, whatever the names of the files."""
    found: dict[str, Path] = {}
    sizes: dict[str, int] = {}
    for path in sorted(folder.iterdir()):
        header = _header_of(path)
        if header is not None and header.sop_class == WHOLE_SLIDE and header.series:
            size = path.stat().st_size
            if size > sizes.get(header.series, -1):
                found[header.series], sizes[header.series] = path, size
    return found


def _header_of(path: Path) -> DicomHeader | None:
    """The header of a regular file that can be read; of any other, None."""
    try:
        with open_file(path) as file:
            return read_header(file)
    except InputError:
        return None


class _Elements:
    """Reads elements one after the other; those that are not wanted are passed over by their length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._read = file, 0
        self._is_implicit = False

    def identifiers(self) -> dict[tuple[int, int], str]:
        """Read the identifiers of class, transfer syntax and series."""
        found: dict[tuple[int, int], str] = {}
        self._file.seek(MAGIC_AT + len(MAGIC))
        try:
            while SERIES not in found:
                tag, length = self._head(found)
                if tag > SERIES:
                    break
                if tag in (SOP_CLASS, TRANSFER_SYNTAX, SERIES) and length <= LONGEST_UID:
                    found[tag] = self._file.read(length).rstrip(b"\0 ").decode("ascii", "replace")
                else:
                    self._pass_over(length, 0)
        except (struct.error, ValueError):  # cut off, or not the elements that they seem to be
            pass
        return found

    def _head(self, found: dict[tuple[int, int], str]) -> tuple[tuple[int, int], int]:
        """Read tag and length of the next element; the group of the file header is always explicit."""
        self._read += 1
        if self._read > MOST_ELEMENTS:
            raise ValueError("more elements than a header has")
        tag: tuple[int, int] = struct.unpack("<HH", self._file.read(4))
        self._is_implicit = tag[0] != 0x0002 and found.get(TRANSFER_SYNTAX) == IMPLICIT
        return tag, self._length(tag)

    def _length(self, tag: tuple[int, int]) -> int:
        """Read the length after a tag, and the representation before it."""
        if self._is_implicit or tag[0] == 0xFFFE:  # items of sequences have no representation either
            return int(struct.unpack("<L", self._file.read(4))[0])
        representation = self._file.read(2)
        if representation in LONG_REPRESENTATIONS:
            return int(struct.unpack("<2xL", self._file.read(6))[0])
        return int(struct.unpack("<H", self._file.read(2))[0])

    def _pass_over(self, length: int, depth: int) -> None:
        """Skip a value; one of undefined length is a sequence, which ends with a mark."""
        if length != UNDEFINED:
            self._file.seek(length, 1)
            return
        if depth > DEEPEST:
            raise ValueError("sequences are nested too deeply")
        while True:
            self._read += 1
            tag: tuple[int, int] = struct.unpack("<HH", self._file.read(4))
            inner = self._length(tag)
            if tag in (END_OF_SEQUENCE, END_OF_ITEM):
                return
            if self._read > MOST_ELEMENTS:
                raise ValueError("more elements than a header has")
            self._pass_over(inner, depth + 1)
