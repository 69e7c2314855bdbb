"""Where finished tiles lie until the slide is written: a Zarr array, what decided its pixels, and a log.

::

    .NAME.store/manifest.json   everything that decides a pixel; another manifest, another picture
                pixels.zarr/    Zarr v3, uint8 [height, width, 3], a CRC a chunk: any process writes its own
                done            a line for each tile that lies complete; only the coordinator appends
                tissue.png      which part is tissue, where glass is treated as such
                scratch/        of the pyramid writer
                lock            held by the run that is at work

A chunk is written under another name and renamed, and a tile counts once it is in the log: whatever is
killed, no half tile is taken for a whole one. Nothing waits for the disk, so a power cut may take chunks and
leave their line in the log; `keep_whole` finds them by their CRC, which costs less than `fsync`.
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
from histoscale.files import lock, sync, write_text, writing
from histoscale.io.decoding import decoding

CHUNK_PX = 512
MANIFEST, PIXELS, LOG, TISSUE, SCRATCH = "manifest.json", "pixels.zarr", "done", "tissue.png", "scratch"
LOCK = "lock"


def stored_bytes(size_xy: tuple[int, int], tile_px: int) -> int:
    """How much all tiles take: chunks at the rim are whole ones."""
    side = min(tile_px, CHUNK_PX)
    return 3 * math.prod(math.ceil(n / side) * side for n in size_xy)


@dataclass(frozen=True)
class TileStore:
    """A store on disk; nothing but its place is held, so every process opens its own.

    **Convention.** Rows and columns are those of the output; ``xy`` where a rectangle is read.
    """

    folder: Path

    @classmethod
    def beside(cls, target: Path) -> "TileStore":
        """The store of an output of that name."""
        return cls(target.with_name(f".{target.name}.store"))

    @property
    def exists(self) -> bool:
        """Whether there is one to resume; without a manifest it was left before any work was done."""
        return (self.folder / MANIFEST).is_file()

    @property
    def tissue(self) -> Path:
        """Where the mask lies."""
        return self.folder / TISSUE

    @property
    def scratch(self) -> Path:
        """Where the pyramid writer keeps levels under way."""
        return self.folder / SCRATCH

    def create(self, size: tuple[int, int], tile_px: int, manifest: Mapping[str, Any]) -> None:
        """Make the array and the manifest; the manifest comes last, so that it stands for all.

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
        """What `create` was given.

        Raises:
            InputError: if it is damaged.
        """
        try:
            return cast(dict[str, Any], json.loads((self.folder / MANIFEST).read_text(encoding="utf-8")))
        except ValueError:
            raise InputError(
                f"{self.folder / MANIFEST} is damaged: give --overwrite to start anew."
            ) from None

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        return zarr.open_array(str(self.folder / PIXELS), mode="r+")

    def write(self, rows: slice, cols: slice, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Store a tile; it starts at whole chunks and ends there or at the rim.

        Raises:
            OutputError: if the disk is full or cannot be written.
        """
        with self._writing():
            self._array[rows, cols] = pixels

    def read(self, l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """A rectangle of what is stored; black where nothing is.

        Raises:
            InputError: if the disk gives back other bytes than it was given.
        """
        (x, y), (width, height) = l0_xy, size_xy
        with decoding(self.folder / PIXELS, f"{width} x {height} px at ({x}, {y})"):
            return np.asarray(self._array[y : y + height, x : x + width])

    def mark_done(self, index: int) -> None:
        """Log that a tile lies complete.

        Raises:
            OutputError: if the disk is full or cannot be written.
        """
        with self._writing(), (self.folder / LOG).open("a", encoding="ascii") as log:
            log.write(f"{index}\n")

    def done(self) -> set[int]:
        """The tiles that lie complete; a line without an end is not counted."""
        log = self.folder / LOG
        lines = log.read_text(encoding="ascii").splitlines(keepends=True) if log.exists() else []
        return {int(line) for line in lines if line.endswith("\n") and line.strip().isdigit()}

    def keep_whole(self, parts: Mapping[int, tuple[slice, slice]]) -> int:
        """Strike tiles from the log whose chunks are missing or damaged, and say how many.

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
        """A chunk that is not there reads as black; it may be that, and is then computed again."""
        side = array.chunks[0]
        down, across = (range(part.start // side, -(-part.stop // side)) for part in (rows, cols))
        chunks = [self.folder / PIXELS / "c" / str(row) / str(col) / "0" for row in down for col in across]
        try:
            return all(chunk.is_file() for chunk in chunks) and array[rows, cols] is not None
        except Exception:  # of the codec or the disk: whatever it says, the tile is lost
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the block; what a dead process held is free. Without work, no folder stays.

        Raises:
            OutputError: if another run is at work here, or the folder cannot be made.
        """
        with lock(self.folder, LOCK):
            try:
                yield
            finally:
                if not self.exists:
                    self.clear()
        if not self.exists:
            with suppress(OSError):  # another run may have begun
                self.folder.rmdir()

    def clear(self) -> None:
        """Delete everything in the store but its lock; the empty folder goes when `locked` ends.

        Raises:
            OutputError: if something cannot be deleted.
        """
        with self._writing():
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self.folder, "what is finished stays there for --resume")
