"""Images of glands with their annotation: from the manifest, by one of its two ways to split them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from histoscale.errors import DataError
from histoscale.workflows.glands.run_file import GlandData

TRAIN, VALIDATION, TEST = "train", "val", "test"
COLUMNS = {"manifest": "split", "official": "official_split"}
"""The manifest's column for each way to split."""


@dataclass(frozen=True)
class GlandImage:
    """One image and its annotation.

    Attributes:
        part: `TRAIN`, `VALIDATION`, or a test part: "test", or officially "testA" and "testB".
        split: the manifest's own split, which weights name that were trained on the manifest.
    """

    id: str
    set: str
    path: Path
    mask: Path
    part: str
    split: str
    patient: str = ""


def find_glands(data: GlandData) -> list[GlandImage]:
    """The annotated images of a manifest, in its order.

    Raises:
        DataError: if there is no manifest, a column or part is missing, or two images share a name.
    """
    manifest, column = data.root / "manifest.csv", COLUMNS[data.split]
    rows = [row for row in _read(manifest, column) if row["mask"] and (row["set"] in data.sets)]
    images = [
        GlandImage(
            id=row["id"],
            set=row["set"],
            path=data.root / row["file"],
            mask=data.root / row["mask"],
            part=row[column],
            split=row["split"],
            patient=row.get("patient") or "",
        )
        for row in rows
    ]
    names = [image.id for image in images]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"Wanted a name of its own for each image, but {manifest} has {twice} twice.")
    for wanted in (TRAIN, TEST):
        if not any(image.part.startswith(wanted) for image in images):
            raise DataError(
                f"{manifest} has no annotated {wanted} image of {', '.join(data.sets)} in column {column}."
            )
    return images


def of_part(images: Sequence[GlandImage], part: str) -> list[GlandImage]:
    """The images of a part; `TEST` stands for all test parts."""
    return [image for image in images if image.part == part or (part == TEST and _is_test(image))]


def leak(images: Sequence[GlandImage]) -> str:
    """A sentence on patients that are on both sides of the split; empty where there are none."""
    trained = {image.patient for image in images if image.part == TRAIN and image.patient}
    tests = of_part(images, TEST)
    shared = [image for image in tests if image.patient in trained]
    if not shared:
        return ""
    patients = len({image.patient for image in shared})
    return (
        f"Leak: {len(shared)} of {len(tests)} test images are of {patients} patient"
        f"{'s' if patients > 1 else ''} who also gave training images."
    )


def read_labels(path: Path) -> Int[np.ndarray, "h w"]:
    """An annotation: 0 for background, a number for each gland.

    Raises:
        DataError: if it cannot be read or holds colours.
    """
    try:
        with Image.open(path) as picture:
            labels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Wanted an annotation, but {path} cannot be read ({error}).") from error
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise DataError(f"Wanted one number a pixel in an annotation, got another kind of picture in {path}.")
    return labels.astype(np.int64)


def _is_test(image: GlandImage) -> bool:
    return image.part.startswith(TEST)


def _read(manifest: Path, column: str) -> list[dict[str, str]]:
    try:
        with manifest.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = {"id", "set", "file", "mask", "split", column} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{manifest} lacks the column(s) {', '.join(sorted(missing))}.")
            return list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Wanted a manifest, but {manifest} cannot be read ({error}).") from error
