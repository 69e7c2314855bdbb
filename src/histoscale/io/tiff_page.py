"""Decode one image of a TIFF file piece by piece: the only place that turns its samples into pixels.

A page becomes a Zarr array through tifffile. Its chunks are the tiles or strips, which are decoded when they
are read. Four things that this does not give are added here:

- libjpeg fills the missing part of a damaged JPEG tile with grey and reports nothing. The end of the data is
  therefore looked for before decoding (`_decode_checked`).
- YCbCr without JPEG is not converted to RGB by the decoder (`_decode_checked`).
- Zarr decodes a chunk again for every rectangle, and a strip is as wide as the slide. The chunks decoded last
  are kept (`DecodedChunks`).
- An uncompressed page is often a single strip, which would be one chunk as large as the page. Its rows are
  read from the file (`TiffPageReader._rows`). Mapping it into memory would be shorter, but mapped pages count
  as memory of the process, and a file that shrinks would end the process with a signal.

Zarr adds a fraction of a millisecond for each chunk, which is small beside the time of the network.
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
from histoscale.io.samples import (
    over_white,
    rgb_from_ycbcr,
    three_channels,
    to_eight_bits,
    unpremultiplied,
    upright,
)
from histoscale.io.slide import Pixels
from histoscale.io.tiff_tags import (
    JPEG_2000,
    compression_of,
    has_alpha,
    is_ycbcr,
    orientation_of,
    photometric_of,
    white_of,
    ycbcr_of,
)
from histoscale.resources import ensure_memory

CACHE_BYTES = 64 * 2**20
"""Decoded tiles and strips that an opened file keeps."""
BYTES_PER_SAMPLE = 6
"""Memory for a sample of a page that is decoded whole: 16 bits, eight bits, and copies on the way."""
ASSOCIATED_ALPHA = 1
"""TIFF's number for an opacity that the colours were multiplied with."""
END_OF_JPEG = b"\xff\xd9"
DECODERS = 2
"""Threads for the tiles of one rectangle; with one, tifffile would decode within the only thread of Zarr."""


class DecodedChunks:
    """The tiles and strips of all pages of a file that were decoded last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str], Buffer] = OrderedDict()
        self._lock = Lock()
        self.held_bytes = 0

    def get(self, key: tuple[int, str]) -> Buffer | None:
        """Return a chunk if it is kept; it then counts as the one decoded last."""
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
    """A page as a Zarr store that looks up the decoded chunks first."""

    def __init__(self, store: Store, page: int, chunks: DecodedChunks) -> None:
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


class TiffPageReader:
    """One image of a TIFF file.

    Images of eight bits are read piece by piece. Three kinds are decoded whole on first use, and kept: other
    depths (only the whole image shows the true range of 16 bits), turned images, and images that are
    compressed in one large piece.
    """

    def __init__(self, page: tifffile.TiffPage, path: Path, chunks: DecodedChunks) -> None:
        self._page, self._path, self._chunks = page, path, chunks
        self._is_premultiplied = has_alpha(page) and page.extrasamples[0] == ASSOCIATED_ALPHA
        self._lock = Lock()
        self._decoded: tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"] | None] | None = None

    @property
    def size_xy(self) -> tuple[int, int]:
        """Pixels, not turned."""
        return self._page.imagewidth, self._page.imagelength

    def rgb(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """Read a rectangle; transparent pixels are blended with white."""
        colour, alpha = self._colour_and_alpha(xy, size_xy)
        if (
            alpha is not None and self._is_premultiplied
        ):  # the colours have their share already; add that of white
            colour = colour + np.minimum(255 - alpha[..., None], 255 - colour)
        elif alpha is not None:
            colour = over_white(colour, alpha)
        return three_channels(colour)

    def pixels(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> Pixels:
        """Read a rectangle as colour and opacity."""
        colour, alpha = self._colour_and_alpha(xy, size_xy)
        if alpha is not None and self._is_premultiplied:
            colour = unpremultiplied(colour, alpha)
        return Pixels(np.ascontiguousarray(colour), None if alpha is None else alpha.copy())

    def _colour_and_alpha(
        self, xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"] | None]:
        """Read a rectangle in eight bits; colours stay multiplied by the opacity if the file has them so."""
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
        """Separate samples of the file into colour and opacity in eight bits."""
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
        """Read a rectangle of samples as the file has them, channels last."""
        if self._has_rows:
            return self._rows(rows, cols)
        wanted = {"Y": rows, "X": cols}
        samples = np.asarray(self._array[tuple(wanted.get(axis, slice(None)) for axis in self._page.axes)])
        if self._page.axes == "SYX":  # planes: each channel is an image of its own
            return np.moveaxis(samples, 0, -1)
        return samples[..., None] if samples.ndim == 2 else samples

    def _rows(self, rows: slice, cols: slice) -> UInt8[np.ndarray, "h w s"]:
        """Read a rectangle of an uncompressed page row by row."""
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
        """The page as an array whose chunks are decoded tiles or strips."""
        page = self._page
        _decode_checked(page)
        store = page.aszarr(fillvalue=white_of(page), maxworkers=DECODERS)
        return zarr.open_array(_CachedStore(store, page.offset, self._chunks), mode="r", zarr_format=2)

    @cached_property
    def _has_rows(self) -> bool:
        """Whether the file holds the pixels as they are in memory."""
        page = self._page
        is_plain = page.is_memmappable and page.planarconfig == 1 and page.bitspersample == 8
        return bool(is_plain and not is_ycbcr(page))

    @cached_property
    def _is_read_in_pieces(self) -> bool:
        page = self._page
        is_eight_bits = page.bitspersample == 8 and page.dtype == np.uint8
        is_cut = self._has_rows or int(np.prod(page.chunks)) <= CACHE_BYTES
        return is_eight_bits and is_cut and orientation_of(page) == 1


def _decode_checked(page: tifffile.TiffPage) -> None:
    """Let the decoder of a page refuse JPEG data without an end, and convert YCbCr to RGB."""
    is_jpeg, is_converted = compression_of(page) == "jpeg", is_ycbcr(page)
    if compression_of(page) in JPEG_2000:
        page.subsampling = (1, 1)  # the stream upsamples colour itself, and tifffile would refuse others
    if not (is_jpeg or is_converted):
        return
    decode, (weights, codes) = page.decode, ycbcr_of(page)

    def checked(data: bytes | None, index: int, **tables: Any) -> Any:
        if is_jpeg and data is not None and not data.rstrip(b"\0").endswith(END_OF_JPEG):
            raise ValueError(f"tile or strip {index} has no end")
        samples, place, shape = decode(data, index, **tables)
        if is_converted and samples is not None:
            rgb = rgb_from_ycbcr(samples[..., :3], weights, codes)
            samples = np.concatenate([rgb, samples[..., 3:]], axis=-1)
        return samples, place, shape

    page.decode = checked


def _coloured(
    index: Shaped[np.ndarray, "h w"], colours: Shaped[np.ndarray, "3 n"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Look up the colours of a palette image; the table has 16 bits by the standard, and 8 in some files."""
    eight = colours if colours.max(initial=0) < 256 else colours >> 8
    return np.moveaxis(eight[:, index], 0, -1).astype(np.uint8)
