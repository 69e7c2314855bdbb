"""The shipped task on drawn nuclei, whose number and area are known, and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.data.manifest import centre_crop, find_images
from histoscale.errors import DataError
from histoscale.experiments.custom_task.nuclei import find_nuclei, predict, split_touching
from histoscale.experiments.custom_task.sample import Sample, read_facts
from histoscale.experiments.images import read_mask
from histoscale.io.image_reader import read_rgb


def sample_of(mask: np.ndarray | None, scale: float = 1.0, **facts: str) -> Sample:
    size = (1, 1) if mask is None else mask.shape
    return Sample("p", Path("p.png"), (size[0], size[1]), scale, mask, facts)


def test_drawn_nuclei_are_found(tissue: Path) -> None:
    image = read_rgb(tissue / "p.png")
    mask = np.asarray(Image.open(tissue / "p-mask.png")).astype(np.int64)
    scores = predict(image, sample_of(mask))
    assert scores["dice"] > 0.9
    assert scores["count error"] == 0
    assert scores["mean area error"] < 0.15
    assert scores["area error"] == pytest.approx(scores["mean area error"])


def test_the_low_resolution_image_is_read_by_the_same_lengths(tissue: Path) -> None:
    image = Image.open(tissue / "p.png")
    mask = np.asarray(Image.open(tissue / "p-mask.png")).astype(np.int64)
    low = np.asarray(image.resize((48, 48), Image.Resampling.BICUBIC))
    scores = predict(low, sample_of(mask, scale=2.0))
    assert scores["dice"] > 0.85
    assert scores["count error"] == 0


def test_touching_nuclei_are_cut_apart() -> None:
    rows, cols = np.mgrid[:40, :60]
    mask = ((rows - 20) ** 2 + (cols - 20) ** 2 < 100) | ((rows - 20) ** 2 + (cols - 36) ** 2 < 100)
    labels = split_touching(mask, 6)
    assert (labels > 0).tolist() == mask.tolist()
    assert labels.max() == 2
    assert labels[20, 14] != labels[20, 42]


def test_a_long_nucleus_stays_whole() -> None:
    rows, cols = np.mgrid[:40, :60]
    assert split_touching(((rows - 20) / 5) ** 2 + ((cols - 30) / 12) ** 2 < 1, 6).max() == 1


def test_specks_are_no_nuclei() -> None:
    image = np.full((40, 40, 3), (235, 190, 215), np.uint8)
    image[8:22, 8:22] = image[32:36, 32:36] = (80, 50, 140)
    assert find_nuclei(image)[15, 15] == find_nuclei(image).max() == 1
    assert not find_nuclei(image)[30:, 30:].any()


def test_a_white_image_has_no_nuclei() -> None:
    assert not find_nuclei(np.full((20, 20, 3), 255, np.uint8)).any()


def test_nuclei_of_a_binary_mask_are_not_counted(tissue: Path) -> None:
    mask = np.asarray(Image.open(tissue / "p-mask.png")).astype(np.int64) > 0
    scores = predict(read_rgb(tissue / "p.png"), sample_of(mask.astype(np.int64), mask_kind="nuclei binary"))
    assert set(scores) == {"dice", "area error"}


def test_a_missing_mask_is_named() -> None:
    with pytest.raises(DataError, match=r"mask.*p\.png"):
        predict(np.zeros((8, 8, 3), np.uint8), sample_of(None))


def test_real_nuclei_are_found(data_root: Path) -> None:
    """Half the nuclear pixels of a sharp image, far more than the 0.3 of calling everything a nucleus."""
    record = next(r for r in find_images(data_root, ["monuseg"], "test") if r.prep == "FFPE")
    mask = read_mask(data_root / read_facts(data_root)[record.path]["mask"], record.path)
    sample = sample_of(centre_crop(mask, 256), mask_kind="nuclei binary")
    scores = predict(centre_crop(read_rgb(record.path), 256), sample)
    assert scores["dice"] > 0.5
