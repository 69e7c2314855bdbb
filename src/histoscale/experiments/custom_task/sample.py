"""What a task is given of an image beside its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped

from histoscale.data.manifest import read_rows


@dataclass(frozen=True)
class Sample:
    """One image as a task is given it, in any setting.

    Attributes:
        id: name of the image.
        path: file of the whole original.
        size: height and width of the original in pixels, cropped to what the scale divides.
        scale: pixels of the original per pixel of the image: 1, except in low resolution.
        mask: the label image of the manifest, cropped as the original is; None if there is none.
        facts: the image's row of the manifest.
    """

    id: str
    path: Path
    size: tuple[int, int]
    scale: float
    mask: Integer[np.ndarray, "h w"] | None
    facts: Mapping[str, str]


def read_facts(data: Path) -> dict[Path, dict[str, str]]:
    """Read the rows of a manifest by image file; empty if there is no manifest."""
    manifest = data / "manifest.csv" if data.is_dir() else data
    if manifest.suffix != ".csv" or not manifest.is_file():
        return {}
    return {
        manifest.parent / row["file"]: {name: value or "" for name, value in row.items()}
        for row in read_rows(manifest, ("file",))
    }


def resize_labels(labels: Shaped[np.ndarray, "h w"], size: tuple[int, ...]) -> Shaped[np.ndarray, "H W"]:
    """Resize a label image, such as a prediction on low resolution, by nearest neighbour."""
    rows, cols = ((2 * np.arange(n) + 1) * old // (2 * n) for n, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, cols)]
