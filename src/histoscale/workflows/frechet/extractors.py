"""Ready extractors: our own, which ships, and Inception-v3 from the file that the person has."""

import hashlib
import io
import json
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from safetensors import torch as safetensors

from histoscale import weights
from histoscale.errors import WeightsError
from histoscale.models.base import moved
from histoscale.models.extractors.base import FeatureExtractor
from histoscale.models.extractors.inception import InceptionFeatures, without_classifier
from histoscale.models.extractors.tissue import TissueFeatures

ExtractorName: TypeAlias = Literal["tissue", "inception"]
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the file that pytorch-fid publishes; its name bears the first eight digits."""
TISSUE_FILE = weights.SHIPPED / "extractors" / "histoscale-tissue.safetensors"


def load_extractor(
    name: ExtractorName = "tissue", inception_weights: Path | None = None, device: torch.device | str = "cpu"
) -> FeatureExtractor:
    """An extractor with its weights, in float32 and evaluation mode.

    Args:
        inception_weights: pytorch-fid's file, for ``inception`` only.

    Raises:
        WeightsError: if weights are missing, superfluous or not the published ones.
        HistoscaleError: if the device is not there.
    """
    if name == "tissue" and inception_weights is not None:
        raise WeightsError(f"{inception_weights} is for the inception extractor, but tissue was asked for.")
    if name == "inception" and inception_weights is None:
        raise WeightsError(
            f"The inception extractor wants {INCEPTION_FILE} of pytorch-fid, which does not ship with this "
            "package: give its path (--inception-weights)."
        )
    extractor = load_tissue() if inception_weights is None else load_inception(inception_weights)
    return moved(extractor, device)


def load_tissue(path: Path = TISSUE_FILE) -> FeatureExtractor:
    """The histoscale-tissue features.

    Raises:
        WeightsError: if the file is missing or is not the one its card describes.
    """
    content, card = _read(path), json.loads(_read(path.with_suffix(".json")))
    _check_digest(content, card["sha256"], path)
    extractor = TissueFeatures()
    extractor.load_state_dict(safetensors.load(content))  # casts to float32
    return extractor.eval()


def load_inception(path: Path, sha256: str = INCEPTION_SHA256) -> FeatureExtractor:
    """Inception-v3 with the weights of FID, which are only read once the checksum has proved them.

    Raises:
        WeightsError: if the file is missing or another one.
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


def _check_digest(content: bytes, wanted: str, path: Path) -> None:
    """Another file, however well it fits, gives features that compare with nothing published."""
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise WeightsError(f"Wanted the weights with sha256 {wanted[:16]}…, got {found[:16]}… at {path}.")
