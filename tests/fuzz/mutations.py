"""Damage bytes in ways that find where a parser believes a file: all from one seed, and shrinkable.

A mutated file is its original and a list of edits, so a file that fails is shrunk by leaving edits out.
"""

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

NUMBERS = (
    *(b"-1", b"0", b"1e-300", b"1e308", b"1e999", b"NaN", b"Infinity", b"-0.0", b"0x10", b"1_000", b"1,5"),
    *(b"99999999999", b"18446744073709551616", b"9" * 5000, b"", b'"1"', b"null", b"true", b"[]", b"{}"),
)
WORDS = (
    *(
        b"",
        b"\x1b[2J",
        b"\\u001b[31m",
        b"a\nb",
        b"\x00",
        b"\xff\xfe",
        b"\xc3(",
        b"../../x",
        b"%s%n",
        b"x" * 70_000,
    ),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b"<a>" * 3000,
        b"&lt;&#0;",
        b"&x;",
        b"\xef\xbb\xbf",
        b"mm",
        b"\xc2\xb5m",
        b"Infinity",
    ),
)
INTEGERS = (0, 1, 2, 3, 7, 8, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Edit(NamedTuple):
    """Replace the bytes from ``start`` to ``stop`` of the original."""

    start: int
    stop: int
    by: bytes


Strategy = Callable[[bytes, random.Random], Edit]


def apply(original: bytes, edits: Sequence[Edit]) -> bytes:
    """The original with all edits; of two that overlap the later in the file is cut."""
    parts, at = [], 0
    for start, stop, by in sorted(edits):
        if start >= at:
            parts += [original[at:start], by]
            at = max(at, stop)
    return b"".join([*parts, original[at:]])


def mutate(original: bytes, strategies: Sequence[Strategy], rng: random.Random) -> list[Edit]:
    """One to six edits by strategies drawn at random."""
    return [rng.choice(strategies)(original, rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 6)))]


def shrink(edits: list[Edit], fails: Callable[[list[Edit]], bool]) -> list[Edit]:
    """Leave out every edit without which it still fails."""
    for edit in list(edits):
        fewer = [other for other in edits if other is not edit]
        if fewer and fails(fewer):
            edits = fewer
    return edits


# Any bytes.


def flip(data: bytes, rng: random.Random) -> Edit:
    """Flip one bit."""
    at = rng.randrange(len(data))
    return Edit(at, at + 1, bytes([data[at] ^ 1 << rng.randrange(8)]))


def overwrite(data: bytes, rng: random.Random) -> Edit:
    """Overwrite up to eight bytes by one value."""
    at, length = rng.randrange(len(data)), rng.randint(1, 8)
    return Edit(at, at + length, bytes([rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) * length)


def overwrite_integer(data: bytes, rng: random.Random) -> Edit:
    """Overwrite an integer of two, four or eight bytes, near the start more often."""
    size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
    at = int(len(data) * rng.random() ** 3)
    value = rng.choice(INTEGERS) + rng.choice((-1, 0, 0, 1))
    return Edit(at, at + size, (value % 2 ** (8 * size)).to_bytes(size, order))


def delete(data: bytes, rng: random.Random) -> Edit:
    """Delete a stretch."""
    at = rng.randrange(len(data))
    return Edit(at, at + rng.choice((1, 2, 16, len(data) // 8 + 1)), b"")


def truncate(data: bytes, rng: random.Random) -> Edit:
    """Cut the end off."""
    return Edit(rng.randrange(len(data)), len(data), b"")


def repeat(data: bytes, rng: random.Random) -> Edit:
    """Repeat a stretch."""
    at = rng.randrange(len(data))
    stretch = data[at : at + rng.choice((1, 4, 64, 512))]
    return Edit(at, at, stretch * rng.choice((1, 2, 50)))


BYTES: tuple[Strategy, ...] = (flip, overwrite, overwrite_integer, delete, truncate, repeat)


# Text: JSON, XML, TOML, CSV, and the texts inside of binary files.


def _replace_match(pattern: bytes, by: Sequence[bytes]) -> Strategy:
    found: dict[int, list[tuple[int, int]]] = {}

    def strategy(data: bytes, rng: random.Random) -> Edit:
        key = hash(data)
        if key not in found:
            found[key] = [match.span() for match in re.finditer(pattern, data)] or [(0, 0)]
        start, stop = rng.choice(found[key])
        return Edit(start, stop, rng.choice(by))

    return strategy


TEXT: tuple[Strategy, ...] = (
    _replace_match(rb"-?\d+(\.\d+)?", NUMBERS),
    _replace_match(rb'"[^"\n]*"', [b'"' + word + b'"' for word in WORDS] + list(NUMBERS)),
    _replace_match(rb"\b[A-Za-z_]+\b", WORDS),
    _replace_match(rb"[\[\]{}<>=:,]", (b"", b",,", b"]", b"}", b"<", b">", b"[[", b"=")),
    _replace_match(rb"\n", (b"", b"\r", b"\n\n", b"\x00\n", b"\n,\n")),
    flip,
    delete,
    truncate,
    repeat,
)


# TIFF: one field of one entry of a directory.


def tiff_entry(data: bytes, rng: random.Random) -> Edit:
    """Change the tag, type, count or value of an entry of a classic little-endian TIFF."""
    entries = tiff_entries(data)
    if not entries:
        return overwrite_integer(data, rng)
    at = rng.choice(entries)
    offset, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    value = rng.choice((*INTEGERS, len(data), len(data) - 1, *range(254, 340, 3), rng.randrange(20)))
    return Edit(at + offset, at + offset + size, (value % 2 ** (8 * size)).to_bytes(size, "little"))


def tiff_entries(data: bytes) -> list[int]:
    """Where the entries of all directories of a chain begin."""
    found: list[int] = []
    if data[:4] != b"II*\0":
        return found
    (at,) = struct.unpack_from("<I", data, 4)
    while at and at + 2 <= len(data) and len(found) < 1000:
        (count,) = struct.unpack_from("<H", data, at)
        found += [at + 2 + 12 * n for n in range(count)]
        after = at + 2 + 12 * count
        at = struct.unpack_from("<I", data, after)[0] if after + 4 <= len(data) else 0
    return found


TIFF: tuple[Strategy, ...] = (tiff_entry, tiff_entry, tiff_entry, tiff_entry, *BYTES)


# PNG: checksums are made right again, since a decoder stops at a wrong one.


def with_png_checksums(data: bytes) -> bytes:
    """The file with a right checksum for each of its chunks."""
    if not data.startswith(b"\x89PNG"):
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        stop = at + 8 + length
        if stop + 4 > len(data):
            break
        parts += [data[at:stop], struct.pack(">I", zlib.crc32(data[at + 4 : stop]))]
        at = stop + 4
    return b"".join([*parts, data[at:]])
