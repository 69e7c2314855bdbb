"""A list of patches: classes, pixels, and lists that do not hold together."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import DataError
from histoscale.experiments.cancer.config import CancerRun, PatchTable, TaskTable
from histoscale.experiments.cancer.data import open_list, open_pcam
from histoscale.experiments.cancer.experiment import cancer

GLAS = (
    TaskTable(
        name="malignant",
        column="grade_glas",
        positive="malignant",
        negative="benign",
        where={"label_gland": "1"},
    ),
    TaskTable(name="gland", column="label_gland", positive="1", negative="0"),
)


def test_classes_of_each_task(run: CancerRun) -> None:
    test = open_list(run.data)["test"]
    assert len(test.names) == 16
    assert test.names[1] == "3-x32-y0"
    assert (test.images[1], test.patients[1], test.side_px) == ("3", "P3", 32)
    striped, light = test.tasks["striped"], test.tasks["light"]
    assert striped.indices.tolist() == [i for i in range(16) if i % 8 != 6]
    assert striped.positive[:4].tolist() == [False, True, False, True]
    assert light.indices.tolist() == [i for i in range(16) if i % 8 != 7]
    assert light.positive[:7].tolist() == [False, False, True, False, False, True, False]


def test_pixels_are_those_of_the_image(run: CancerRun) -> None:
    test = open_list(run.data)["test"]
    patches = test.read(np.array([9, 1, 9]))
    image = np.asarray(Image.open(run.data.root / "4.png"))
    assert patches.shape == (3, 32, 32, 3)
    assert (patches[0] == image[:, 32:64]).all()
    assert (patches[2] == patches[0]).all()


def test_the_patches_of_glas(data_root: Path) -> None:
    """The counts that the bundle's own page states."""
    table = PatchTable(root=data_root, patches=Path("glas/patches_96.csv"), tasks=GLAS)
    found = open_list(table)
    counts = {split: patches.tasks["malignant"].positive for split, patches in found.items()}
    assert {split: (int((~c).sum()), int(c.sum())) for split, c in counts.items()} == {
        "train": (763, 1144),
        "val": (243, 259),
        "test": (271, 296),
    }
    assert {split: len(patches.tasks["gland"].indices) for split, patches in found.items()} == {
        "train": 3100,
        "val": 761,
        "test": 1020,
    }
    assert found["test"].read(np.array([0, 1])).shape == (2, 96, 96, 3)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("split,file", "part,file", r"patches\.csv lacks the column\(s\) split"),
        (",shade,", ",tone,", r"lacks the column\(s\) shade"),
        ("test,3.png,P3", "test,3.png,P0", "has patches of P0 in both train and test"),
        ("val,2.png,P2,0,0,stripe", "val,2.png,P2,zero,0,stripe", "not a whole number"),
        ("val,2.png,P2,32,0", "val,2.png,P2,0,0", "has patch 2-x0-y0 twice in split val"),
        (",stripe,", ",spotted,", r"\(train\) has no patch with kind stripe for task striped"),
    ],
)
def test_lists_that_do_not_hold_together(before: str, after: str, sentence: str, run: CancerRun) -> None:
    path = run.data.root / "patches.csv"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(DataError, match=sentence):
        open_list(run.data)


def test_no_list(run: CancerRun) -> None:
    (run.data.root / "patches.csv").unlink()
    with pytest.raises(DataError, match=r"patches\.csv cannot be read"):
        open_list(run.data)


def test_a_patch_outside_the_image(run: CancerRun) -> None:
    table = run.data.model_copy(update={"patch_px": 40})
    with pytest.raises(DataError, match=r"40 x 40 pixels at 224,0 .*3\.png"):
        open_list(table)["test"].read(np.array([7]))


# PCam's published layout, in a small file written that way.


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
    (table,) = cancer(published, tmp_path / "out").results
    assert (table.task, table.patches, table.positive, table.images) == ("metastasis", 12, 4, 12)
    assert [row.setting for row in table.rows] == ["original", "low resolution", "bicubic", "fast"]


def test_files_still_compressed(published: Path) -> None:
    path = published.parent / "pcam" / TEST_X
    path.rename(path.with_name(f"{TEST_X}.gz"))
    with pytest.raises(DataError, match=r"still compressed.*test_x\.h5\.gz first"):
        open_pcam(path.parent)


def test_a_missing_file(published: Path) -> None:
    (published.parent / "pcam" / TEST_X).unlink()
    with pytest.raises(DataError, match=r"x .*cannot be read from .*test_x\.h5"):
        open_pcam(published.parent / "pcam")


def test_another_layout(published: Path) -> None:
    path = published.parent / "pcam" / TEST_X
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((12, 3, 32, 32), np.uint8))
    with pytest.raises(DataError, match=r"layout.* uint8 \(12, 3, 32, 32\)"):
        open_pcam(path.parent)
