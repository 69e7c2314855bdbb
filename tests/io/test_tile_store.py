"""Tiles on disk: complete, damaged, resumed, and on a full disk."""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from histoscale.errors import InputError, OutputError
from histoscale.io.tile_store import LOG, MANIFEST, TileStore, stored_bytes


@pytest.fixture
def store(tmp_path: Path) -> TileStore:
    store = TileStore.beside(tmp_path / "out.ome.tiff")
    store.create((100, 150), 64, {"a": [1, "x"]})
    return store


def test_it_is_a_hidden_folder_beside_the_target(tmp_path: Path) -> None:
    assert TileStore.beside(tmp_path / "out.ome.tiff").folder == tmp_path / ".out.ome.tiff.store"


def test_another_store_of_the_folder_reads_pixels_and_manifest(store: TileStore) -> None:
    tile = np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)
    store.write(slice(64, 100), slice(64, 128), tile)
    again = TileStore(store.folder)
    assert np.array_equal(again.read((64, 64), (64, 36)), tile)
    assert np.array_equal(again.read((70, 65), (3, 2)), tile[1:3, 6:9])
    assert again.manifest() == {"a": [1, "x"]}


def test_it_is_zarr_3_with_a_chunk_for_each_small_tile(store: TileStore) -> None:
    array = zarr.open_array(str(store.folder / "pixels.zarr"), mode="r")
    assert (array.metadata.zarr_format, array.chunks) == (3, (64, 64, 3))


def test_a_line_of_the_log_that_was_cut_off_does_not_count(store: TileStore) -> None:
    store.mark_done(3)
    store.mark_done(12)
    with (store.folder / LOG).open("a") as log:
        log.write("1")
    assert store.done() == {3, 12}


def test_a_folder_without_a_manifest_is_not_a_store(store: TileStore) -> None:
    assert store.exists
    (store.folder / MANIFEST).unlink()
    assert not store.exists


def test_a_damaged_manifest(store: TileStore) -> None:
    (store.folder / MANIFEST).write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged: give --overwrite"):
        store.manifest()


def test_a_full_disk_is_one_sentence(store: TileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zarr.storage._local._put", full)
    with pytest.raises(
        OutputError, match="no space is left on the disk; what is finished stays there for --resume"
    ):
        store.write(slice(0, 64), slice(0, 64), np.ones((64, 64, 3), np.uint8))


def test_damaged_and_missing_tiles_are_removed_from_the_log(store: TileStore) -> None:
    parts = {0: (slice(0, 64), slice(0, 64)), 1: (slice(0, 64), slice(64, 128))}
    parts |= {2: (slice(0, 64), slice(128, 150)), 3: (slice(64, 100), slice(0, 64))}
    for index, (rows, cols) in parts.items():
        store.write(rows, cols, np.full((rows.stop - rows.start, cols.stop - cols.start, 3), 9, np.uint8))
        store.mark_done(index)
    assert TileStore(store.folder).keep_whole(parts) == 0
    chunks = store.folder / "pixels.zarr/c/0"
    (chunks / "0/0").unlink()
    (chunks / "1/0").write_bytes(b"")
    flipped = bytearray((chunks / "2/0").read_bytes())
    flipped[5] ^= 1
    (chunks / "2/0").write_bytes(flipped)
    with pytest.raises(InputError, match=r"pixels\.zarr is damaged or incomplete in 3 x 2 px at \(130, 1\)"):
        TileStore(store.folder).read((130, 1), (3, 2))
    assert TileStore(store.folder).keep_whole(parts) == 3
    assert store.done() == {3}
    (store.folder / "pixels.zarr/zarr.json").write_text("")
    with pytest.raises(InputError, match=r"pixels\.zarr is damaged"):
        TileStore(store.folder).keep_whole(parts)


def test_its_size_on_disk_is_known_before(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "store")
    store.create((1300, 700), 1024, {})
    store.write(slice(0, 1024), slice(0, 700), np.ones((1024, 700, 3), np.uint8))
    store.write(slice(1024, 1300), slice(0, 700), np.ones((276, 700, 3), np.uint8))
    chunks = [path.stat().st_size for path in (store.folder / "pixels.zarr/c").rglob("*") if path.is_file()]
    assert sum(chunks) == stored_bytes((700, 1300), 1024) + 4 * len(chunks)


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    store = TileStore.beside(tmp_path / "new/folder/out.ome.tiff")
    with store.locked():
        store.create((10, 10), 64, {})
        with pytest.raises(OutputError, match=r"Another run .*store"), store.locked():
            pass
        store.clear()
        with pytest.raises(OutputError, match="Another run"), store.locked():
            pass
        assert not store.exists
    assert list(tmp_path.iterdir()) == [], "without work, no folder stays"


def test_the_lock_of_a_killed_process_is_free(store: TileStore) -> None:
    code = f"""
from pathlib import Path; import os, signal
from histoscale.io.tile_store import TileStore
with TileStore(Path({str(store.folder)!r})).locked(): os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with store.locked():
        assert store.exists
    assert store.exists


def test_it_is_removed(store: TileStore) -> None:
    with store.locked():
        store.clear()
    assert not store.folder.exists()


@pytest.mark.parametrize("place", [".", "pixels.zarr", "pixels.zarr/c", "done", "scratch"])
def test_a_link_is_refused_and_what_it_points_to_stays(store: TileStore, tmp_path: Path, place: str) -> None:
    store.write(slice(0, 64), slice(0, 64), np.zeros((64, 64, 3), np.uint8))
    victim, link = tmp_path / "victim", store.folder / place
    if link.exists():
        link.rename(victim)
    else:
        victim.mkdir()
    before = sorted(victim.rglob("*"))
    link.symlink_to(victim)
    with pytest.raises(OutputError, match=r"is a link"), store.locked():
        pytest.fail("the store was taken")
    assert link.is_symlink()
    assert sorted(victim.rglob("*")) == before
