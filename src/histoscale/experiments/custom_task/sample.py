"""What a task knows about an image beside its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped

from histoscale.data.manifest import read_rows
from histoscale.io.image_reader import read_labels


@dataclass(frozen=True)
class Sample:
    """One image as a task is given it, in whatever setting.

    Attributes:
        id: name of the image.
        path: file of the original, whole.
        size: height and width of the original, in pixels, cut to what the scale divides.
        scale: original pixels per pixel of the image given: 1 except for the low-resolution one.
        mask: the manifest's label image, cropped as the original is; None where there is none.
        facts: the image's row of the manifest.
    """

    id: str
    path: Path
    size: tuple[int, int]
    scale: float
    mask: Integer[np.ndarray, "h w"] | None
    facts: Mapping[str, str]


def read_facts(data: Path) -> dict[Path, dict[str, str]]:
    """Read the rows of a manifest by image file; empty where there is no manifest."""
    manifest = data / "manifest.csv" if data.is_dir() else data
    if manifest.suffix != ".csv" or not manifest.is_file():
        return {}
    return {
        manifest.parent / row["file"]: {name: value or "" for name, value in row.items()}
        for row in read_rows(manifest, ("file",))
    }


def read_mask(facts: Mapping[str, str], data: Path) -> Integer[np.ndarray, "h w"] | None:
    """Read the label image that the manifest names.

    Raises:
        InputError: if it cannot be read, or is not an image of one channel.
    """
    if not facts.get("mask"):
        return None
    return read_labels((data if data.is_dir() else data.parent) / facts["mask"])


def resize_labels(labels: Shaped[np.ndarray, "h w"], size: tuple[int, ...]) -> Shaped[np.ndarray, "H W"]:
    """Resize a label image by nearest neighbour, such as a prediction on low resolution."""
    rows, cols = ((2 * np.arange(n) + 1) * old // (2 * n) for n, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, cols)]
