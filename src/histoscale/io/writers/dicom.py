"""DICOM whole slide images: a folder with one file for each level, the label and the overview.

Frames are written one by one, so that memory does not grow with the slide. Their number is known beforehand,
their positions are not: the header reserves room for the table of positions and is written again at the end.
"""

import math
import struct
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import openslide
from jaxtyping import UInt8, UInt64
from pydicom.pixels.utils import pixel_array

from histoscale.errors import OutputError
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.dicom_metadata import Flavour, Identity, Instance, head
from histoscale.io.writers.pyramid import ExpectedTile, PyramidLevels, full_tile
from histoscale.io.writers.verify import refuse_difference, refuse_other_pixels

FLAVOUR_OF_ASSOCIATED: dict[str, Flavour] = {"label": "LABEL", "macro": "OVERVIEW"}
"""The lowest level serves as the thumbnail."""
LARGEST_BYTES = 2**32 - 2
"""Most bytes of uncompressed frames, whose length field has 32 bits."""

PIXELS, OFFSETS, LENGTHS = (0x7FE0, 0x0010), (0x7FE0, 0x0001), (0x7FE0, 0x0002)
UNDEFINED_LENGTH = 2**32 - 1
ITEM, END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


def refuse_foreign(target: Path, _encoding: Encoding) -> None:
    """Raise `OutputError` for a folder with other files; --overwrite does not replace it either."""
    if target.is_dir() and any(path.suffix != ".dcm" for path in target.iterdir()):
        raise OutputError(f"{target} is a folder with files that are not DICOM's: choose another name.")


def write_dicom(partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels) -> None:
    """Fill the folder ``partial``.

    Raises:
        OutputError: if DICOM cannot hold so many uncompressed pixels.
    """
    _refuse_large(slide, encoding)
    identity = Identity(datetime.now())
    side = encoding.tile_px
    for level, size_xy in enumerate(levels.sizes_xy):
        instance = Instance("VOLUME", level + 1, size_xy, (side, side), _mpp_of(slide, level))
        frames = (full_tile(tile, side) for tile in levels.tiles(level))
        _write_instance(partial / f"level-{level}.dcm", frames, slide, identity, instance, encoding)
    for number, (name, flavour) in enumerate(FLAVOUR_OF_ASSOCIATED.items(), len(levels.sizes_xy) + 1):
        if name in slide.associated:
            pixels = slide.associated[name]
            whole = pixels.shape[1], pixels.shape[0]
            instance = Instance(flavour, number, whole, whole, None)
            _write_instance(partial / f"{name}.dcm", [pixels], slide, identity, instance, encoding)


def _refuse_large(slide: OutputSlide, encoding: Encoding) -> None:
    width, height = slide.size_xy
    full_tiles = (math.ceil(side / encoding.tile_px) * encoding.tile_px for side in slide.size_xy)
    if encoding.compression == "none" and 3 * math.prod(full_tiles) > LARGEST_BYTES:
        raise OutputError(
            f"A DICOM slide of {width} x {height} px exceeds the 4 GiB that uncompressed pixels may take: "
            "give --compression jpeg2000 --quality 100, which is lossless too."
        )


def _mpp_of(slide: OutputSlide, level: int) -> Mpp | None:
    return Mpp(slide.mpp.x * 2**level, slide.mpp.y * 2**level) if slide.mpp else None


def _write_instance(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    slide: OutputSlide,
    identity: Identity,
    instance: Instance,
    encoding: Encoding,
) -> None:
    n_bytes = 3 * instance.frame_xy[0] * instance.frame_xy[1] * instance.frames
    encoded = (_encoded(frame, encoding) for frame in frames)
    with path.open("xb") as file:
        if encoding.compression == "none":
            file.write(head(slide, identity, instance, encoding, 1.0))
            _write_native(file, encoded, n_bytes)
        else:
            _write_encapsulated(
                file,
                encoded,
                instance.frames,
                lambda stored: head(slide, identity, instance, encoding, n_bytes / stored if stored else 0.0),
            )


def _encoded(frame: UInt8[np.ndarray, "h w 3"], encoding: Encoding) -> bytes | bytearray:
    """Encode a frame; JPEG keeps colour at full density."""
    match encoding.compression:
        case "jpeg":
            return imagecodecs.jpeg8_encode(
                frame, encoding.quality, colorspace="rgb", outcolorspace="ycbcr", subsampling="444"
            )
        case "jpeg2000":
            return imagecodecs.jpeg2k_encode(
                frame,
                round(encoding.jpeg2000_db),
                codecformat="j2k",
                reversible=encoding.is_lossless,
            )
        case _:
            return frame.tobytes()


def _write_native(file: BinaryIO, frames: Iterable[bytes | bytearray], n_bytes: int) -> None:
    file.write(_element(PIXELS, b"OB", n_bytes + n_bytes % 2))
    file.writelines(frames)
    file.write(bytes(n_bytes % 2))


def _write_encapsulated(
    file: BinaryIO, frames: Iterable[bytes | bytearray], count: int, head: Callable[[int], bytes]
) -> None:
    """Write each frame as one fragment; the extended offset table locates them, the basic one is empty.

    Args:
        head: makes the header from the bytes that the frames take; always of the same length.
    """
    places = np.zeros((2, count), "<u8")  # offset and length of each frame
    _write_before_frames(file, head(0), places)
    position = 0
    for index, frame in enumerate(frames):
        length = len(frame) + len(frame) % 2
        places[:, index] = position, length
        position += file.write(_tag(ITEM) + struct.pack("<L", length) + frame + bytes(len(frame) % 2))
    file.write(_tag(END) + bytes(4))
    file.seek(0)
    _write_before_frames(file, head(int(places[1].sum())), places)


def _write_before_frames(file: BinaryIO, head: bytes, places: UInt64[np.ndarray, "2 frames"]) -> None:
    file.write(head)
    for tag, table in zip((OFFSETS, LENGTHS), places, strict=True):
        file.write(_element(tag, b"OV", table.nbytes) + table.tobytes())
    file.write(_element(PIXELS, b"OB", UNDEFINED_LENGTH) + _tag(ITEM) + bytes(4))


def _element(tag: tuple[int, int], representation: bytes, length: int) -> bytes:
    """Encode tag, representation and 32-bit length of an element."""
    return _tag(tag) + representation + bytes(2) + struct.pack("<L", length)


def _tag(tag: tuple[int, int]) -> bytes:
    return struct.pack("<HH", *tag)


def verify_dicom(partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels) -> None:
    """Raise `VerificationError` unless OpenSlide finds the levels and micrometres, and pydicom the pixels."""
    with openslide.OpenSlide(partial / "level-0.dcm") as opened:
        refuse_difference("levels", levels.sizes_xy, opened.level_dimensions)
        found = (float(opened.properties[f"openslide.mpp-{axis}"]) for axis in "xy")
        refuse_difference("micrometres per pixel", _rounded(slide.mpp or ()), _rounded(found))

    def decoded(tile: ExpectedTile) -> UInt8[np.ndarray, "h w 3"]:
        (x, y), (height, width) = tile.level_xy, tile.pixels.shape[:2]
        index = y // encoding.tile_px * levels.grid(tile.level)[1] + x // encoding.tile_px
        frame = pixel_array(partial / f"level-{tile.level}.dcm", index=index)
        return np.asarray(frame[:height, :width])

    refuse_other_pixels(levels.expected_tiles, encoding.is_lossless, decoded)


def _rounded(mpp: Iterable[float]) -> tuple[str, ...]:
    return tuple(f"{side:.6g}" for side in mpp)
