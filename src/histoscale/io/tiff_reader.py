"""TIFF and OME-TIFF as slides: levels in SubIFDs or in pages of their own, read piece by piece.

A page becomes a Zarr array through tifffile, whose chunks are the tiles or strips, decoded when they are
asked for. Three things that this path does not give are added here:

- libjpeg fills up what a damaged JPEG tile lacks with grey and does not say so: the end of its data is looked
  for before it is decoded (`_refuse_cut_jpeg`), and that of the file when it is opened (`_beyond_the_end`).
- Zarr decodes a chunk again for every rectangle, and a strip is as wide as the slide: the chunks decoded
  last are kept (`_DecodedChunks`).
- An uncompressed page is often a single strip, which would be one chunk as large as the page: its rows are
  read from the file (`_Page._rows`). To map it into memory would be shorter, but mapped pages count as memory
  of the process, and a file that shrinks would end it with a signal.

Zarr adds a fraction of a millisecond for each chunk, more than copying a kept chunk would take; beside the
network that gets the pixels it does not show.
"""

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
import zarr
from jaxtyping import Shaped, UInt8
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.samples import over_white, three_channels, to_eight_bits, unpremultiplied, upright
from histoscale.io.slide import Description, Pixels, Slide
from histoscale.io.tiff_metadata import (
    associated_pages,
    compression_of,
    describe_tiff,
    has_alpha,
    level_pages,
    orientation_of,
    photometric_of,
)
from histoscale.resources import ensure_memory

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
CACHE_BYTES = 64 * 2**20
"""Decoded tiles and strips that an opened file keeps."""
BYTES_PER_PX = 9
"""Memory for a pixel of RGB: as decoded, in eight bits, and what is made of it."""
BYTES_PER_SAMPLE = 6
"""Memory for a sample of a page that is decoded whole: the same, from 16 bits."""
ASSOCIATED_ALPHA = 1
"""TIFF's number for an opacity that the colours were multiplied with."""
END_OF_JPEG = b"\xff\xd9"
DECODERS = 2
"""Threads for the tiles of one rectangle; with one, tifffile would decode within Zarr's only thread."""


def locate(path: Path, start: bytes) -> Path | None:
    """The file itself if it starts as TIFF does."""
    return path if start.startswith(TIFF_MAGIC) else None


class TiffSlide(Slide):
    """RGB, grey and palettes; a tile that the file leaves out is white.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        with decoding(path):
            self._tiff = tifffile.TiffFile(path)
        try:
            with decoding(path):
                self.description = self._describe(path)
        except BaseException:
            self._tiff.close()
            raise

    def _describe(self, path: Path) -> Description:
        """The header; with it the pages get ready to be read, unless the file is refused."""
        if not self._tiff.series or self._tiff.series[0].keyframe is None:
            raise InputError(f"{path} is a TIFF file without an image in it, or cut off before that.")
        levels, associated = level_pages(self._tiff), associated_pages(self._tiff)
        refusal = None
        for page in (*levels, *associated.values()):
            refusal = refusal or _beyond_the_end(page, path.stat().st_size)
        self._chunks = _DecodedChunks()
        self._levels = [_Page(page, path, self._chunks) for page in levels]
        self._associated = {name: _Page(page, path, self._chunks) for name, page in associated.items()}
        return describe_tiff(path, self._tiff, levels, tuple(associated), refusal)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        with decoding(self.description.path, place):
            return self._levels[level].rgb(level_xy, size_xy)

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        size_xy = size_xy or self.levels_xy[0]
        place = self._place(0, l0_xy, size_xy)
        self._ensure_memory(BYTES_PER_PX, size_xy)
        with decoding(self.description.path, place if size_xy != self.levels_xy[0] else None):
            return self._levels[0].pixels(l0_xy, size_xy)

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        page = self._associated.get(name)
        if page is None:
            raise self._refuse_associated(name)
        with decoding(self.description.path, f"its associated image {name!r}"):
            return page.rgb((0, 0), page.size_xy)

    def close(self) -> None:
        self._tiff.close()


class _DecodedChunks:
    """The tiles and strips of a file that were decoded last, of all its pages together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str], Buffer] = OrderedDict()
        self._lock = Lock()
        self.held_bytes = 0

    def get(self, key: tuple[int, str]) -> Buffer | None:
        """A chunk if it is kept; it then counts as the one decoded last."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple[int, str], chunk: Buffer) -> None:
        """Keep a chunk, and forget the oldest ones beyond `CACHE_BYTES`."""
        with self._lock:
            if key not in self._kept:
                self.held_bytes += len(chunk)
            self._kept[key] = chunk
            while self.held_bytes > CACHE_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self.held_bytes -= len(oldest)


class _CachedStore(WrapperStore[Store]):
    """A page as a Zarr store that looks among the decoded chunks first."""

    def __init__(self, store: Store, page: int, chunks: _DecodedChunks) -> None:
        super().__init__(store)
        self._page, self._chunks = page, chunks

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        chunk = self._chunks.get((self._page, key))
        if chunk is None:
            chunk = await self._store.get(key, prototype, byte_range)
            if chunk is not None:
                self._chunks.keep((self._page, key), chunk)
        return chunk


class _Page:
    """One image of a TIFF file.

    Eight bits are read piece by piece. Other depths (the true range of 16 bits shows in the whole page only),
    turned images, and large ones compressed in one piece are decoded whole when first asked for, and kept.
    """

    def __init__(self, page: tifffile.TiffPage, path: Path, chunks: _DecodedChunks) -> None:
        self._page, self._path, self._chunks = page, path, chunks
        self._is_premultiplied = has_alpha(page) and page.extrasamples[0] == ASSOCIATED_ALPHA
        self._lock = Lock()
        self._decoded: tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"] | None] | None = None

    @property
    def size_xy(self) -> tuple[int, int]:
        """Pixels, not turned."""
        return self._page.imagewidth, self._page.imagelength

    def rgb(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """A rectangle, over white where it is transparent."""
        colour, alpha = self._colour_and_alpha(xy, size_xy)
        if alpha is not None and self._is_premultiplied:  # only the white is missing
            colour = colour + np.minimum(255 - alpha[..., None], 255 - colour)
        elif alpha is not None:
            colour = over_white(colour, alpha)
        return three_channels(colour)

    def pixels(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> Pixels:
        """A rectangle, its opacity apart."""
        colour, alpha = self._colour_and_alpha(xy, size_xy)
        if alpha is not None and self._is_premultiplied:
            colour = unpremultiplied(colour, alpha)
        return Pixels(np.ascontiguousarray(colour), None if alpha is None else alpha.copy())

    def _colour_and_alpha(
        self, xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"] | None]:
        """A rectangle in eight bits; colours as the file has them, multiplied by the opacity or not."""
        (x, y), (width, height) = xy, size_xy
        rows, cols = slice(y, y + height), slice(x, x + width)
        if self._is_read_in_pieces:
            return self._split(self._samples(rows, cols))
        with self._lock:
            if self._decoded is None:
                self._ensure_memory()
                whole = self._samples(slice(0, self.size_xy[1]), slice(0, self.size_xy[0]))
                turned = upright(whole, orientation_of(self._page))
                self._decoded = self._split(turned)
        colour, alpha = self._decoded
        return colour[rows, cols], None if alpha is None else alpha[rows, cols]

    def _ensure_memory(self) -> None:
        """Raise `InputError` if memory does not hold the page, or the tiles that make it up."""
        n_bytes = BYTES_PER_SAMPLE * max(self._page.size, int(np.prod(self._page.chunks)))
        ensure_memory(n_bytes, InputError, f"{self._path} is decoded in one piece, too large for the memory")

    def _split(
        self, samples: Shaped[np.ndarray, "h w s"]
    ) -> tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"] | None]:
        """Colour and opacity in eight bits from the samples of the file."""
        page, photometric = self._page, photometric_of(self._page)
        count = samples.shape[2] - has_alpha(page)
        if photometric == "PALETTE":
            colour = _coloured(samples[..., 0], np.asarray(page.colormap))
            rest = to_eight_bits(samples[..., count:], page.bitspersample, str(self._path))
            return colour, rest[..., 0] if has_alpha(page) else None
        samples = to_eight_bits(samples, page.bitspersample, str(self._path))
        colour = samples[..., :count]
        if photometric == "MINISWHITE":
            colour = 255 - colour
        return colour, samples[..., -1] if has_alpha(page) else None

    def _samples(self, rows: slice, cols: slice) -> Shaped[np.ndarray, "h w s"]:
        """A rectangle as the file has it, channels last."""
        if self._has_rows:
            return self._rows(rows, cols)
        wanted = {"Y": rows, "X": cols}
        samples = np.asarray(self._array[tuple(wanted.get(axis, slice(None)) for axis in self._page.axes)])
        if self._page.axes == "SYX":  # each channel is an image of its own
            return np.moveaxis(samples, 0, -1)
        return samples[..., None] if samples.ndim == 2 else samples

    def _rows(self, rows: slice, cols: slice) -> UInt8[np.ndarray, "h w s"]:
        """Uncompressed and in one piece: row by row, and of each what is asked for."""
        page, file = self._page, self._page.parent.filehandle
        n, row_bytes = page.samplesperpixel, page.imagewidth * page.samplesperpixel
        parts = []
        for row in range(rows.start, rows.stop):
            with file.lock:
                file.seek(page.dataoffsets[0] + row * row_bytes + cols.start * n)
                parts.append(file.read((cols.stop - cols.start) * n))
        data = np.frombuffer(b"".join(parts), np.uint8)
        return data.reshape(rows.stop - rows.start, cols.stop - cols.start, n)

    @cached_property
    def _array(self) -> "zarr.Array[Any]":
        """The page as an array of decoded tiles or strips."""
        page = self._page
        _refuse_cut_jpeg(page)
        store = page.aszarr(fillvalue=_white_of(page), maxworkers=DECODERS)
        return zarr.open_array(_CachedStore(store, page.offset, self._chunks), mode="r", zarr_format=2)

    @cached_property
    def _has_rows(self) -> bool:
        """Whether pixels lie in the file as they are in memory."""
        page = self._page
        return bool(page.is_memmappable and page.planarconfig == 1 and page.bitspersample == 8)

    @cached_property
    def _is_read_in_pieces(self) -> bool:
        page = self._page
        is_eight_bits = page.bitspersample == 8 and page.dtype == np.uint8
        is_cut = self._has_rows or int(np.prod(page.chunks)) <= CACHE_BYTES
        return is_eight_bits and is_cut and orientation_of(page) == 1


def _beyond_the_end(page: tifffile.TiffPage, length: int) -> str | None:
    """Why a file of ``length`` bytes is refused if its index of tiles points beyond them; else None."""
    ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
    if max(ends, default=0) <= length:
        return None
    return f"is damaged or incomplete: its index points beyond its {length} bytes"


def _refuse_cut_jpeg(page: tifffile.TiffPage) -> None:
    """Let the page's decoder raise `ValueError` for a JPEG tile or strip without an end."""
    if compression_of(page) != "jpeg":
        return
    decode = page.decode

    def checked(data: bytes | None, index: int, **tables: Any) -> Any:
        if data is not None and not data.rstrip(b"\0").endswith(END_OF_JPEG):
            raise ValueError(f"tile or strip {index} has no end")
        return decode(data, index, **tables)

    page.decode = checked


def _white_of(page: tifffile.TiffPage) -> int:
    """The sample that stands for white where a tile is missing; of a palette, the lightest colour."""
    match photometric_of(page):
        case "MINISWHITE":
            return 0
        case "PALETTE":
            return int(np.asarray(page.colormap).sum(axis=0).argmax())
        case _:
            return int(2**page.bitspersample - 1)


def _coloured(
    index: Shaped[np.ndarray, "h w"], colours: Shaped[np.ndarray, "3 n"]
) -> UInt8[np.ndarray, "h w 3"]:
    """A palette image as RGB; the table holds 16 bits by the standard, and 8 in some files."""
    eight = colours if colours.max(initial=0) < 256 else colours >> 8
    return np.moveaxis(eight[:, index], 0, -1).astype(np.uint8)
