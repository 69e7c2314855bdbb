"""Distances between sets of images: patches, errors, and a larger distance for worse images."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from histoscale.data.manifest import centre_crop, find_images
from histoscale.data.pillow_degradation import add_noise, compress_jpeg, degrade, upscale_bicubic
from histoscale.errors import DataError, InputError, WeightsError
from histoscale.experiments.frechet_distance import (
    INCEPTION_FILE,
    INCEPTION_SHA256,
    TISSUE_FILE,
    compare_folders,
    compare_images,
    cut_patches,
    gather,
    load_extractor,
    load_inception,
    load_tissue,
    patch_features,
)
from histoscale.experiments.images import RgbImage
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import count_parameters
from histoscale.models.extractors.base import FeatureExtractor
from histoscale.models.extractors.inception import InceptionFeatures


@pytest.fixture(scope="module")
def tissue() -> FeatureExtractor:
    return load_extractor("tissue")


def noise_images(seed: int, n: int, side_px: int = 40) -> list[RgbImage]:
    rng = np.random.default_rng(seed)
    return [rng.integers(256, size=(side_px, side_px, 3), dtype=np.uint8) for _ in range(n)]


def test_patches_lie_side_by_side_from_the_top_left() -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    patches = cut_patches(image, 2)
    assert patches.shape == (6, 2, 2, 3)
    np.testing.assert_array_equal(patches[4], image[2:4, 2:4])
    np.testing.assert_array_equal(cut_patches(image, None), image[None])
    assert cut_patches(image, 8).shape == (0, 8, 8, 3)
    with pytest.raises(InputError, match="at least 1 pixel"):
        cut_patches(image, 0)


def test_features_are_those_of_the_patches(tissue: FeatureExtractor) -> None:
    image = noise_images(0, 1, side_px=200)[0]
    found = patch_features(image, tissue, 32)  # 36 patches: more than one batch
    one = torch.from_numpy(image[32:64, 64:96].copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        np.testing.assert_allclose(found[8], tissue(one)[0].numpy(), rtol=1e-4, atol=1e-5)
    assert patch_features(image, tissue, 201).shape == (0, tissue.dimension)


def test_a_set_is_at_no_distance_from_itself_in_any_order(tissue: FeatureExtractor) -> None:
    images = noise_images(1, 70)
    result = compare_images(images, reversed(images), tissue, None)
    assert result.distance == pytest.approx(0, abs=1e-8)
    assert (result.n, result.extractor) == (70, "histoscale-tissue")
    assert result.line().endswith("histoscale-tissue features, n = 70 images.")


def test_too_few_are_refused(tissue: FeatureExtractor) -> None:
    images = noise_images(2, 65)
    with pytest.raises(InputError, match=r"more than 64 images .* found 64\. .*smaller patches"):
        compare_images(images, images[1:], tissue, None)


def test_folders_are_compared_as_images_are(tissue: FeatureExtractor, tmp_path: Path) -> None:
    both = noise_images(3, 9, 96), noise_images(4, 10, 96)
    for name, images in zip(("a", "b"), both, strict=True):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number:02}.png")
    found = compare_folders(tmp_path / "a", tmp_path / "b", tissue, 32)
    assert found == compare_images(*both, tissue, 32)
    assert (found.n, found.patch_px) == (81, 32)
    with pytest.raises(DataError, match="absent"):
        compare_folders(tmp_path / "a", tmp_path / "absent", tissue, 32)


@pytest.fixture(scope="module")
def validation_images(data_root: Path) -> list[RgbImage]:
    """The middle of every fourth validation image: 112 patches of 64 px."""
    records = find_images(data_root, split="val")[::4]
    return [centre_crop(read_rgb(record.path), 256) for record in records]


def blurred(image: RgbImage, sigma: float) -> RgbImage:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def resampled(image: RgbImage, scale: float) -> RgbImage:
    height, width = image.shape[:2]
    lr_size = (int(height / scale), int(width / scale))
    return upscale_bicubic(degrade(image, lr_size, scale, "none"), (height, width))


def noisy(image: RgbImage, sigma: float) -> RgbImage:
    return add_noise(image, sigma, np.random.default_rng(0))


def compressed(image: RgbImage, loss: float) -> RgbImage:
    return compress_jpeg(image, round(100 - loss))


@pytest.mark.parametrize(
    ("spoil", "strengths"),
    [
        (blurred, (0.7, 1.0, 2.0, 4.0)),
        (resampled, (2.0, 3.0, 4.0)),
        (noisy, (3.0, 8.0, 20.0)),
        (compressed, (20.0, 50.0, 80.0)),
    ],
)
def test_the_worse_the_image_the_larger_the_distance(
    spoil: Callable[[RgbImage, float], RgbImage],
    strengths: Sequence[float],
    validation_images: list[RgbImage],
    tissue: FeatureExtractor,
) -> None:
    distances = [
        compare_images(
            validation_images, (spoil(image, s) for image in validation_images), tissue, 64
        ).distance
        for s in strengths
    ]
    assert distances == sorted(distances)
    assert distances[0] > 0
    assert gather(validation_images, tissue, 64).n > tissue.dimension


# Loading extractors: the one that ships, a file in the published layout, and every way to be refused.


def test_what_ships_loads_and_is_as_its_card_says() -> None:
    extractor, card = load_extractor(), json.loads(TISSUE_FILE.with_suffix(".json").read_text())
    assert (extractor.name, card["parameters"]) == (card["name"], count_parameters(extractor))
    assert not extractor.training
    assert {source["split"] for source in card["data"]} == {"train"}
    assert TISSUE_FILE.stat().st_size < 3 * 2**20


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / TISSUE_FILE.name
    shutil.copy(TISSUE_FILE.with_suffix(".json"), tmp_path)
    copy.write_bytes(TISSUE_FILE.read_bytes()[:-2] + b"\0\1")
    with pytest.raises(WeightsError, match="sha256"):
        load_tissue(copy)


def test_the_checksum_is_the_one_in_the_published_name() -> None:
    assert INCEPTION_SHA256[:8] == INCEPTION_FILE.removesuffix(".pth").split("-")[-1]


def test_a_file_in_the_published_layout(tmp_path: Path) -> None:
    saved, path = InceptionFeatures().eval(), tmp_path / "generated.pth"
    torch.save({**saved.state_dict(), "fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, path)
    loaded = load_inception(path, hashlib.sha256(path.read_bytes()).hexdigest())
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    with pytest.raises(WeightsError, match=re.escape(f"sha256 {INCEPTION_SHA256[:16]}")):
        load_extractor("inception", path)


def test_a_pickle_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / INCEPTION_FILE
    path.write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(WeightsError, match="sha256 6726825d"):
        load_extractor("inception", path)


def test_inception_without_weights_says_which(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=INCEPTION_FILE):
        load_extractor("inception")
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_extractor("inception", tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match=r"absent\.pth has no effect .* --extractor inception"):
        load_extractor("tissue", tmp_path / "absent.pth")
