"""Images and annotations are found, split in either way, and refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float, Int
from PIL import Image

from histoscale.errors import DataError
from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands.config import LR, GlandData, GlandRun
from histoscale.experiments.glands.data import (
    TEST,
    GlandImage,
    ImageStore,
    ModelImage,
    find_glands,
    leak,
    of_part,
)
from histoscale.experiments.methods import BICUBIC
from histoscale.run_file import read_tables


def test_the_manifest_splits_by_patient(run_file: Path) -> None:
    images = find_glands(read_tables(run_file, GlandRun).data)
    assert [(image.id, image.part) for image in of_part(images, TEST)] == [("d", "test"), ("e", "test")]
    assert leak(images) == ""


def test_the_official_split_has_two_test_parts_and_a_leak(run_file: Path) -> None:
    data = read_tables(run_file, GlandRun).data.model_copy(update={"split": "official"})
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
        ("drawn,train,b", "drawn,train,a", "two images called a"),
    ],
)
def test_a_wrong_manifest_is_explained(run_file: Path, old: str, new: str, words: str) -> None:
    data = read_tables(run_file, GlandRun).data
    manifest = data.root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(DataError, match=words):
        find_glands(data)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.csv cannot be read"):
        find_glands(GlandData(root=tmp_path))


# All kinds of images show the same field; upscaled ones are made once.


def centre(labels: Int[np.ndarray, "h w"], label: int) -> Float[np.ndarray, "2"]:
    middle: np.ndarray = np.argwhere(labels == label).mean(axis=0)
    return middle


def shrunk(run: GlandRun, scale: int, shrink: int) -> GlandRun:
    data = run.data.model_copy(update={"scale": scale})
    return run.model_copy(update={"data": data, "network": run.network.model_copy(update={"shrink": shrink})})


@pytest.fixture
def run(run_file: Path) -> GlandRun:
    return read_tables(run_file, GlandRun)


@pytest.fixture
def image(run: GlandRun) -> GlandImage:
    return find_glands(run.data)[0]


def test_sizes(run: GlandRun, image: GlandImage, tmp_path: Path) -> None:
    store = ImageStore(run, tmp_path)
    store.upscale(ModelImage(image, "fast"))
    whole, small = (64, 82), (32, 41)
    for kind, size in ((ORIGINAL, whole), (BICUBIC, whole), ("fast", whole), (LR, small)):
        assert store.image(image, kind).shape == (*size, 3), kind
        seen = whole if kind != LR else small
        assert store.network_input(image, kind).shape[:2] == seen, kind
        assert store.labels(image, store.step(kind)).shape == seen, kind


def test_inputs_are_means_but_low_resolution_is_not_averaged(
    run: GlandRun, image: GlandImage, tmp_path: Path
) -> None:
    store = ImageStore(shrunk(run, scale=4, shrink=2), tmp_path)
    original = store.image(image, ORIGINAL).astype(float)
    means = original.reshape(32, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(store.network_input(image, ORIGINAL) - means).max() <= 0.5
    assert store.network_input(image, BICUBIC).shape == (32, 40, 3)
    assert np.array_equal(store.network_input(image, LR), store.image(image, LR))
    assert [store.step(kind) for kind in (ORIGINAL, BICUBIC, LR)] == [2, 2, 4]


def test_low_resolution_is_plain_bicubic(run: GlandRun, image: GlandImage, tmp_path: Path) -> None:
    with Image.open(image.path) as whole:
        expected = whole.crop((0, 0, 82, 64)).resize((41, 32), Image.Resampling.BICUBIC)
    lr = ImageStore(run, tmp_path).image(image, LR)
    assert np.abs(lr.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("step", [2, 4])
def test_small_labels_lie_where_the_large_ones_do(run: GlandRun, tmp_path: Path, step: int) -> None:
    """Over many glands: the middle of one may move by more when it is sampled at every fourth pixel."""
    store = ImageStore(shrunk(run, scale=4, shrink=2), tmp_path)
    moved = []
    for image in find_glands(run.data):
        large = store.labels(image)
        resized = np.kron(store.labels(image, step), np.ones((step, step), np.int64))
        moved += [centre(resized, label) - centre(large, label) for label in (1, 2, 3)]
    assert np.abs(np.mean(moved, axis=0)).max() < 1


def test_images_are_upscaled_once(run: GlandRun, image: GlandImage, tmp_path: Path) -> None:
    store = ImageStore(run, tmp_path)
    store.upscale(ModelImage(image, "fast"))
    made = store.file(ModelImage(image, "fast")).stat().st_mtime_ns
    store.upscale(ModelImage(image, "fast"))
    assert store.file(ModelImage(image, "fast")).stat().st_mtime_ns == made
    assert not list(tmp_path.rglob("*.partial"))


def test_an_annotation_of_another_size(run: GlandRun, image: GlandImage, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(image.mask)
    with pytest.raises(DataError, match=r"a-mask\.png has 9 x 9 pixels.*a\.png has 65 x 82"):
        ImageStore(run, tmp_path).labels(image)
