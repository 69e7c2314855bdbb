"""PCam's published layout, in a small file written that way."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.errors import DataError
from histoscale.workflows.cancer.carry_out import cancer
from histoscale.workflows.cancer.pcam import open_pcam

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
TEST_X = "camelyonpatch_level_2_split_test_x.h5"


def test_patches_and_classes(published: Path) -> None:
    folder = published.parent / "pcam"
    found = open_pcam(folder)
    assert set(found) == {"train", "val", "test"}
    test = found["test"]
    assert (len(test.names), test.side_px) == (12, 32)
    assert test.tasks["metastasis"].positive.tolist() == [i % 3 == 0 for i in range(12)]
    with h5py.File(folder / TEST_X) as file:
        stored = file["x"][:]
    assert (test.read(np.array([5, 0, 5, 11])) == stored[[5, 0, 5, 11]]).all()


def test_the_whole_command(published: Path, tmp_path: Path) -> None:
    (table,) = cancer(published, tmp_path / "out").tables
    assert (table.task, table.patches, table.positive, table.pictures) == ("metastasis", 12, 4, 12)
    assert [row.setting for row in table.rows] == ["original", "low resolution", "bicubic", "fast"]


def test_files_still_compressed(published: Path) -> None:
    path = published.parent / "pcam" / TEST_X
    path.rename(path.with_name(f"{TEST_X}.gz"))
    with pytest.raises(DataError, match=r"still compressed: gunzip .*test_x\.h5\.gz first"):
        open_pcam(path.parent)


def test_a_missing_file(published: Path) -> None:
    (published.parent / "pcam" / TEST_X).unlink()
    with pytest.raises(DataError, match=r"Wanted PCam's .*test_x\.h5 with dataset x, but .* cannot be read"):
        open_pcam(published.parent / "pcam")


def test_another_layout(published: Path) -> None:
    path = published.parent / "pcam" / TEST_X
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((12, 3, 32, 32), np.uint8))
    with pytest.raises(DataError, match=r"x of n x side x side x 3 bytes .* got uint8 \(12, 3, 32, 32\)"):
        open_pcam(path.parent)
