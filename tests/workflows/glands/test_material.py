"""Images and annotations are found, split in either way, and refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import DataError
from histoscale.workflows.glands.material import TEST, find_glands, leak, of_part, read_labels
from histoscale.workflows.glands.run_file import GlandData, read_gland_run


def test_the_manifest_splits_by_patient(run_file: Path) -> None:
    images = find_glands(read_gland_run(run_file).data)
    assert [(image.id, image.part) for image in of_part(images, TEST)] == [("d", "test"), ("e", "test")]
    assert leak(images) == ""


def test_the_official_split_has_two_test_parts_and_its_leak_is_told(run_file: Path) -> None:
    data = read_gland_run(run_file).data.model_copy(update={"split": "official"})
    images = find_glands(data)
    assert [(image.id, image.part) for image in of_part(images, TEST)] == [
        ("b", "testA"),
        ("c", "testB"),
        ("e", "testA"),
    ]
    assert leak(images) == "Leak: 1 of 3 test images are of 1 patient who also gave training images."


def test_glas_at_hand(data_root: Path) -> None:
    manifest = find_glands(GlandData(root=data_root))
    assert [len(of_part(manifest, part)) for part in ("train", "val", "test")] == [95, 24, 31]
    assert leak(manifest) == ""
    official = find_glands(GlandData(root=data_root, split="official"))
    assert [len(of_part(official, part)) for part in ("train", "testA", "testB")] == [75, 55, 20]
    assert leak(official).startswith("Leak: ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mask,", "annotation,", r"lacks the column\(s\) mask"),
        (",test,", ",rest,", "has no annotated test image of drawn in column split"),
        ("drawn,train,b", "drawn,train,a", "has a twice"),
    ],
)
def test_a_wrong_manifest_is_explained(run_file: Path, old: str, new: str, words: str) -> None:
    data = read_gland_run(run_file).data
    manifest = data.root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(DataError, match=words):
        find_glands(data)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Wanted a manifest"):
        find_glands(GlandData(root=tmp_path))


def test_a_colourful_annotation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    with pytest.raises(DataError, match=r"one number a pixel.*mask\.png"):
        read_labels(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "none.png")
