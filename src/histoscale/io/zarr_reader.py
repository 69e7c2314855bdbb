"""OME-Zarr 0.4 and 0.5 as slides: a folder with an array for each level, read chunk by chunk."""

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.core.array import AsyncArray

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.samples import three_channels
from histoscale.io.slide import BYTES_PER_PX, Pixels, Slide
from histoscale.io.zarr_metadata import describe_zarr, open_image
from histoscale.resources import ensure_memory

METADATA = ("zarr.json", ".zattrs", ".zgroup")
WHITE = 255


def is_zarr(path: Path, file: BinaryIO | None = None) -> bool:
    """Whether a folder is a Zarr hierarchy, or a file is the metadata of one."""
    if file is not None:
        return path.name in METADATA
    return any((path / name).is_file() for name in METADATA)


class ZarrSlide(Slide):
    """RGB or grey in eight bits; a chunk that was never written is white.

    Args:
        path: a folder, or a file of its metadata.
        file: the opened file, if it is one.

    Raises:
        InputError: if the folder is damaged, or holds no image.
    """

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        folder = path
        if file is not None:
            file.close()
            folder = path.parent
        with decoding(folder):
            self._image = open_image(folder)
            self.description = describe_zarr(self._image)
            self._levels = [
                _Level(level, self._image.axes, self._image.order) for level in self._image.levels
            ]

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        return three_channels(self._samples(level, level_xy, size_xy))

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        size_xy = size_xy or self.levels_xy[0]
        self._ensure_memory(BYTES_PER_PX, size_xy)
        return Pixels(self._samples(0, l0_xy, size_xy))  # in one piece: chunks may be higher than strips

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        group = self._image.associated.get(name)
        if group is None:
            raise self._refuse_associated(name)
        with ZarrSlide(self._image.folder / group) as image:
            return image.read_region(0, (0, 0), image.levels_xy[0])

    def close(self) -> None:
        """Do nothing: chunks are files that are open only while they are read."""

    def _samples(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w c"]:
        place, path = self._place(level, level_xy, size_xy), self.description.path
        array = self._levels[level]
        ensure_memory(array.chunk_bytes, InputError, f"{path} has chunks that are too large for the memory")
        with decoding(path, place):
            return array.read(level_xy, size_xy)


class _Level:
    """The array of a level, in which gaps are told apart from black."""

    def __init__(self, array: "zarr.Array[Any]", axes: str, order: tuple[int, ...] | None) -> None:
        self._array, self._axes = array, axes
        self._order = list(order or ())
        self.chunk_bytes = 2 * int(np.prod(array.chunks, dtype=float)) * array.dtype.itemsize
        self._is_black_filled = not array.metadata.fill_value
        # The same array, with white instead of black for chunks that were never written.
        white: Any = replace(array.metadata, fill_value=array.dtype.type(WHITE))
        self._white = zarr.Array(AsyncArray(metadata=white, store_path=array.store_path))

    def read(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w c"]:
        """Read a rectangle; a pixel without a chunk in any channel is white.

        Writers leave out chunks that are black throughout. One channel of a chunk may be black in a real
        image; all of them are black where nothing was scanned.
        """
        samples = self._read(self._array, xy, size_xy)
        if self._is_black_filled and not samples.any(axis=2).all():
            is_missing = self._read(self._white, xy, size_xy) != samples
            samples[is_missing.all(axis=2)] = WHITE
        return samples

    def _read(
        self, array: "zarr.Array[Any]", xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w c"]:
        (x, y), (width, height) = xy, size_xy
        wanted = {"y": slice(y, y + height), "x": slice(x, x + width), "c": slice(None)}
        samples = np.asarray(array[tuple(wanted.get(axis, 0) for axis in self._axes)])
        left = [axis for axis in self._axes if axis in wanted]
        if "c" not in left:
            return np.ascontiguousarray(samples.transpose([left.index(axis) for axis in "yx"])[..., None])
        samples = samples.transpose([left.index(axis) for axis in "yxc"])
        return np.ascontiguousarray(samples[..., self._order])
