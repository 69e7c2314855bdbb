"""The store of computed tiles until the slide is written: a Zarr array, a manifest and a log.

::

    .NAME.store/manifest.json   everything that decides the pixels; a run with another manifest cannot resume
                pixels.zarr/    Zarr v3, uint8 [height, width, 3], a CRC for each chunk;
                                every process writes its own tiles
                done            one line for each complete tile; only the coordinating process appends
                tissue.png      which part is tissue, if the background is interpolated
                scratch/        of the pyramid writer
                lock            held by the run that uses the store

A chunk is written under another name and renamed, and a tile counts once it is in the log. If a process is
killed, no incomplete tile therefore counts as complete. The store does not call `fsync`: a power cut may lose
chunks whose line is in the log, and `keep_whole` finds them by their CRC, which takes less time than syncing
every chunk.
"""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.codecs import Crc32cCodec

from histoscale.errors import InputError
from histoscale.files import fitted, lock, refuse_links, sync, write_text, writing
from histoscale.io.decoding import decoding

CHUNK_PX = 512
MANIFEST, PIXELS, LOG, TISSUE, SCRATCH = "manifest.json", "pixels.zarr", "done", "tissue.png", "scratch"
LOCK = "lock"


def stored_bytes(size_xy: tuple[int, int], tile_px: int) -> int:
    """Compute how much all tiles take on disk; chunks at the border are stored whole."""
    side = min(tile_px, CHUNK_PX)
    return 3 * math.prod(math.ceil(n / side) * side for n in size_xy)


@dataclass(frozen=True)
class TileStore:
    """A store on disk. The object holds only the folder, so that every process can open the store itself.

    **Convention.** Rows and columns are those of the output; ``xy`` if a rectangle is read.
    """

    folder: Path

    @classmethod
    def beside(cls, target: Path) -> "TileStore":
        """Name the store of an output."""
        return cls(target.with_name(fitted(target.name, ".", ".store")))

    @property
    def exists(self) -> bool:
        """Whether there is a store to resume; one without a manifest holds no work."""
        return (self.folder / MANIFEST).is_file()

    @property
    def tissue(self) -> Path:
        """Path of the tissue mask."""
        return self.folder / TISSUE

    @property
    def scratch(self) -> Path:
        """Folder in which the pyramid writer keeps lower levels until they are written."""
        return self.folder / SCRATCH

    def create(self, size: tuple[int, int], tile_px: int, manifest: Mapping[str, Any]) -> None:
        """Create the array, then the manifest, whose presence means that the store is complete.

        Raises:
            OutputError: if the folder cannot be written.
        """
        chunk_px = min(tile_px, CHUNK_PX)
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            zarr.create_array(
                str(self.folder / PIXELS),
                shape=(*size, 3),
                chunks=(chunk_px, chunk_px, 3),
                dtype="uint8",
                compressors=[Crc32cCodec()],
                fill_value=0,
                overwrite=True,
            )
            sync(self.folder / PIXELS / "zarr.json")
            write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1))

    def manifest(self) -> dict[str, Any]:
        """Read the manifest that `create` wrote.

        Raises:
            InputError: if it is damaged.
        """
        try:
            return cast(dict[str, Any], json.loads((self.folder / MANIFEST).read_text(encoding="utf-8")))
        except ValueError:
            raise InputError(
                f"{self.folder / MANIFEST} is damaged: give --overwrite to start again."
            ) from None

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        return zarr.open_array(str(self.folder / PIXELS), mode="r+")

    def write(self, rows: slice, cols: slice, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Store a tile; its borders lie on borders of chunks or of the slide.

        Raises:
            OutputError: if the disk is full or cannot be written.
        """
        with self._writing():
            self._array[rows, cols] = pixels

    def read(self, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """Read a rectangle; it is black where no tile is stored.

        Raises:
            InputError: if stored bytes have changed.
        """
        (x, y), (width, height) = l0_xy, size_xy
        with decoding(self.folder / PIXELS, f"{width} x {height} px at ({x}, {y})"):
            return np.asarray(self._array[y : y + height, x : x + width])

    def mark_done(self, index: int) -> None:
        """Log that a tile is complete.

        Raises:
            OutputError: if the disk is full or cannot be written.
        """
        with self._writing(), (self.folder / LOG).open("a", encoding="ascii") as log:
            log.write(f"{index}\n")

    def done(self) -> set[int]:
        """Read which tiles are complete; a line that was cut off does not count."""
        log = self.folder / LOG
        lines = log.read_text(encoding="ascii").splitlines(keepends=True) if log.exists() else []
        return {int(line) for line in lines if line.endswith("\n") and line.strip().isdigit()}

    def keep_whole(self, parts: Mapping[int, tuple[slice, slice]]) -> int:
        """Remove tiles from the log whose chunks are missing or damaged, and return how many.

        Args:
            parts: rows and columns of every tile.

        Raises:
            InputError: if the array itself is damaged.
            OutputError: if the log cannot be written.
        """
        with decoding(self.folder / PIXELS):
            array = self._array
        logged = self.done()
        whole = [index for index in sorted(logged) if index in parts and self._is_whole(array, *parts[index])]
        if len(whole) < len(logged):
            write_text(self.folder / LOG, "".join(f"{index}\n" for index in whole))
        return len(logged) - len(whole)

    def _is_whole(self, array: "zarr.Array[Any]", rows: slice, cols: slice) -> bool:
        """Whether all chunks of a tile exist and match their CRC.

        Zarr reads a missing chunk as black and does not store one that is all black, so that a tile may be
        missing and right; it is then computed again.
        """
        side = array.chunks[0]
        down, across = (range(part.start // side, -(-part.stop // side)) for part in (rows, cols))
        chunks = [self.folder / PIXELS / "c" / str(row) / str(col) / "0" for row in down for col in across]
        try:
            return all(chunk.is_file() for chunk in chunks) and array[rows, cols] is not None
        except (
            Exception
        ):  # codec and disk raise exceptions of any class, and each means that the tile is lost
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the store within the block; the lock of a process that died is free.

        If the store holds no work afterwards, its folder is removed.

        Raises:
            OutputError: if another run uses the store, or the folder cannot be created.
        """
        refuse_links(self.folder)  # before the lock, which would be made where a link leads
        with lock(self.folder, LOCK):
            refuse_links(self.folder)
            try:
                yield
            finally:
                if not self.exists:
                    self.clear()
        if not self.exists:
            with suppress(OSError):  # another run may have started
                self.folder.rmdir()

    def clear(self) -> None:
        """Delete everything in the store but its lock; `locked` removes the empty folder.

        Raises:
            OutputError: if something cannot be deleted.
        """
        with self._writing():
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self.folder, "what is finished stays there for --resume")
