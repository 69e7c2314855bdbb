"""What a task may know of an image beside its pixels."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped
from PIL import Image

from histoscale.data.manifest import ImageRecord
from histoscale.errors import DataError


@dataclass(frozen=True)
class Sample:
    """One image as a task is asked about it, in whatever setting.

    Attributes:
        id: name of the image.
        path: file of the original, whole.
        size: height and width of the original, in pixels, cut to what the scale divides.
        scale: original pixels a pixel of the image given, 1 but for the low-resolution one.
        mask: the manifest's label image, cut as the original is; None where there is none.
        facts: the image's row of the manifest.
    """

    id: str
    path: Path
    size: tuple[int, int]
    scale: float
    mask: Integer[np.ndarray, "h w"] | None
    facts: Mapping[str, str]


def read_facts(data: Path) -> dict[Path, dict[str, str]]:
    """The rows of a manifest by image file; empty where there is no manifest."""
    manifest = data / "manifest.csv" if data.is_dir() else data
    if manifest.suffix != ".csv" or not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as stream:
        return {manifest.parent / row["file"]: row for row in csv.DictReader(stream, restval="")}


def read_mask(record: ImageRecord, facts: Mapping[str, str], data: Path) -> Integer[np.ndarray, "h w"] | None:
    """The label image that the manifest names.

    Raises:
        DataError: if it cannot be read, or is no picture of one channel.
    """
    if not facts.get("mask"):
        return None
    path = (data if data.is_dir() else data.parent) / facts["mask"]
    try:
        with Image.open(path) as picture:
            mask = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Wanted the mask of {record.path}, but {path} cannot be read ({error}).") from error
    if mask.ndim != 2 or mask.dtype.kind not in "biu":
        raise DataError(
            f"Wanted a mask of whole numbers, one channel, got {mask.dtype} {mask.shape} in {path}."
        )
    return mask.astype(np.int64)


def enlarged(labels: Shaped[np.ndarray, "h w"], size: tuple[int, ...]) -> Shaped[np.ndarray, "H W"]:
    """A label image at another size, each pixel's label that of the nearest.

    It takes an answer to the low-resolution image to the size of `Sample.mask`.
    """
    rows, cols = ((2 * np.arange(n) + 1) * old // (2 * n) for n, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, cols)]
