"""Frechet distance between two sets of images, whole or cut into patches, in folders or in memory.

Large images are cut, because the distance needs more samples than features. The images of the two sets need
not be pairs, and may have any sizes.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import torch as safetensors

from histoscale import weights
from histoscale.data.manifest import find_images
from histoscale.errors import InputError, WeightsError
from histoscale.experiments.images import RgbImage, as_batch
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.frechet import FeatureMoments, frechet_distance
from histoscale.models.base import moved
from histoscale.models.extractors.base import FeatureExtractor
from histoscale.models.extractors.inception import InceptionFeatures, without_classifier
from histoscale.models.extractors.tissue import TissueFeatures

PATCH_PX = 96
AT_ONCE = 32
"""Patches in a batch: Inception takes some 10 MiB for each."""


class FrechetResult(NamedTuple):
    """A distance, and what must be quoted with it.

    Attributes:
        n: number of images or patches of the smaller set.
        extractor: name of the features.
        patch_px: side of the patches; None for whole images.
    """

    distance: float
    n: int
    extractor: str
    patch_px: int | None

    def line(self) -> str:
        """Write the result as a sentence."""
        samples = "images" if self.patch_px is None else f"patches of {self.patch_px} px"
        return f"Frechet distance {self.distance:.4f}, {self.extractor} features, n = {self.n} {samples}."


def compare_folders(
    first: Path, second: Path, extractor: FeatureExtractor, patch_px: int | None = PATCH_PX
) -> FrechetResult:
    """Compare all images under two folders, with one image in memory at a time.

    Raises:
        DataError: if a folder has no images or one cannot be read.
        InputError: if there are too few images or patches.
    """
    return compare_images(read_images(first), read_images(second), extractor, patch_px)


def compare_images(
    first: Iterable[RgbImage],
    second: Iterable[RgbImage],
    extractor: FeatureExtractor,
    patch_px: int | None = PATCH_PX,
) -> FrechetResult:
    """Compare two streams of images; each image is read once.

    Raises:
        InputError: if there are too few images or patches.
    """
    one, other = (gather(images, extractor, patch_px) for images in (first, second))
    try:
        distance = frechet_distance(one, other)
    except InputError as error:
        raise InputError(f"{error} Use smaller patches or more images.") from None
    return FrechetResult(distance, min(one.n, other.n), extractor.name, patch_px)


def gather(
    images: Iterable[RgbImage], extractor: FeatureExtractor, patch_px: int | None = PATCH_PX
) -> FeatureMoments:
    """Compute mean and covariance of the features of all images."""
    moments = FeatureMoments(extractor.dimension)
    for image in images:
        moments.add(patch_features(image, extractor, patch_px))
    return moments


def patch_features(
    image: RgbImage, extractor: FeatureExtractor, patch_px: int | None = PATCH_PX
) -> Float[np.ndarray, "n d"]:
    """Compute the features of each patch, or of the whole image, for `FeatureMoments.add`."""
    device = next(extractor.parameters()).device
    patches = cut_patches(image, patch_px)
    found = [np.empty((0, extractor.dimension), np.float32)]
    with torch.inference_mode():
        for i in range(0, len(patches), AT_ONCE):
            found.append(extractor(as_batch(patches[i : i + AT_ONCE]).to(device)).cpu().numpy())
    return np.concatenate(found)


def cut_patches(image: RgbImage, patch_px: int | None) -> UInt8[np.ndarray, "n h w 3"]:
    """Cut an image into patches from the top left, and drop the rest; with None return the whole image.

    Raises:
        InputError: if the patches are smaller than a pixel.
    """
    if patch_px is None:
        return image[None]
    if patch_px < 1:
        raise InputError(f"Patches must have a side of at least 1 pixel, but found {patch_px}.")
    rows, columns = (side // patch_px for side in image.shape[:2])
    grid = image[: rows * patch_px, : columns * patch_px].reshape(rows, patch_px, columns, patch_px, 3)
    return grid.swapaxes(1, 2).reshape(-1, patch_px, patch_px, 3)


def read_images(folder: Path) -> Iterator[RgbImage]:
    """Read all images under a folder, or in a manifest, in a fixed order."""
    for record in find_images(folder):
        yield read_rgb(record.path)


# Extractors with weights: our own, which are shipped, and Inception-v3 from a file of the user.


ExtractorName: TypeAlias = Literal["tissue", "inception"]
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the file that pytorch-fid publishes; its name has the first eight digits."""
TISSUE_FILE = weights.SHIPPED / "extractors" / "histoscale-tissue.safetensors"


def load_extractor(
    name: ExtractorName = "tissue", inception_weights: Path | None = None, device: torch.device | str = "cpu"
) -> FeatureExtractor:
    """Load an extractor with its weights, in float32 and evaluation mode.

    Args:
        inception_weights: pytorch-fid's file, for ``inception`` only.

    Raises:
        WeightsError: if weights are missing, have no effect or are not the published ones.
        HistoscaleError: if there is no such device.
    """
    if name == "tissue" and inception_weights is not None:
        raise WeightsError(
            f"{inception_weights} has no effect with the features tissue: choose --extractor inception."
        )
    if name == "inception" and inception_weights is None:
        raise WeightsError(
            f"The features inception need {INCEPTION_FILE} of pytorch-fid, which is not shipped with this "
            "package: give its path with --inception-weights."
        )
    extractor = load_tissue() if inception_weights is None else load_inception(inception_weights)
    return moved(extractor, device)


def load_tissue(path: Path = TISSUE_FILE) -> FeatureExtractor:
    """Load the histoscale-tissue features.

    Raises:
        WeightsError: if the file is missing or differs from its card.
    """
    content, card = _read(path), json.loads(_read(path.with_suffix(".json")))
    _check_digest(content, card["sha256"], path)
    extractor = TissueFeatures()
    extractor.load_state_dict(safetensors.load(content))  # casts to float32
    return extractor.eval()


def load_inception(path: Path, sha256: str = INCEPTION_SHA256) -> FeatureExtractor:
    """Load Inception-v3 with the weights of FID, after checking the checksum of the file.

    Raises:
        WeightsError: if the file is missing or is another one.
    """
    content = _read(path)
    _check_digest(content, sha256, path)
    tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    extractor = InceptionFeatures()
    extractor.load_state_dict(without_classifier(tensors))
    return extractor.eval()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights at {path} cannot be read: {error.strerror}.") from None


def _check_digest(content: bytes, expected: str, path: Path) -> None:
    """Refuse another file, because its distances do not compare with published ones."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise WeightsError(
            f"{path} is the wrong file: expected sha256 {expected[:16]}…, found {found[:16]}…."
        )
