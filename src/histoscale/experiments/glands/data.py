"""Images of glands with their annotation: from the manifest, by one of its two ways to split them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from histoscale import weights
from histoscale.data.manifest import read_rgb
from histoscale.data.pillow_degradation import enlarge_bicubic
from histoscale.errors import DataError
from histoscale.experiments.glands.config import BICUBIC, LR, ORIGINAL, Enlarger, GlandData, GlandRun
from histoscale.experiments.images import Picture, make_pair
from histoscale.experiments.methods import DIGEST_DIGITS
from histoscale.files import atomic_write
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver
from histoscale.resources import find_device, find_precision

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


# Every kind of image that U-Nets learn from and are tested on, made from the originals.


class Pictures:
    """The images of a run: those of the models lie in ``folder``, a folder for each weights.

    Originals are cropped at their right and bottom to multiples of the scale: all kinds show the same.
    """

    def __init__(self, run: GlandRun, folder: Path):
        self.scale, self.device, self.precision = run.data.scale, run.device, run.precision
        self.shrink = run.network.shrink
        self.folders = {model.label: folder / _folder_name(model) for model in run.models}

    def picture(self, image: GlandImage, kind: str) -> Picture:
        """One image of a kind.

        Raises:
            DataError: if it cannot be read.
        """
        if kind in self.folders:
            return read_rgb(self.file(image, kind))
        lr, original = make_pair(read_rgb(image.path), self.scale, "none")
        size = original.shape[0], original.shape[1]
        return {ORIGINAL: original, LR: lr, BICUBIC: enlarge_bicubic(lr, size)}[kind]

    def seen(self, image: GlandImage, kind: str) -> Picture:
        """One image of a kind in the pixels that a U-Net sees.

        Raises:
            DataError: if it cannot be read.
        """
        picture = self.picture(image, kind)
        return picture if kind == LR else np.asarray(Image.fromarray(picture).reduce(self.shrink))

    def step(self, kind: str) -> int:
        """How many pixels of the original, a side, one pixel covers that a U-Net sees."""
        return self.scale if kind == LR else self.shrink

    def labels(self, image: GlandImage, step: int = 1) -> Int[np.ndarray, "h w"]:
        """The annotation of an image, at the middle of every ``step`` x ``step`` pixels.

        Raises:
            DataError: if it cannot be read or is of another size than the image.
        """
        with Image.open(image.path) as picture:
            width, height = picture.size
        labels = read_labels(image.mask)
        if labels.shape != (height, width):
            raise DataError(
                f"Wanted an annotation of {height} x {width} pixels as {image.path}, got {labels.shape[0]} x "
                f"{labels.shape[1]} in {image.mask}."
            )
        labels = labels[: height // self.scale * self.scale, : width // self.scale * self.scale]
        return labels[step // 2 :: step, step // 2 :: step]

    def file(self, image: GlandImage, label: str) -> Path:
        """Where a model's image is."""
        return self.folders[label] / f"{image.id}.png"

    def enlarge(self, image: GlandImage, model: Enlarger) -> None:
        """Make a model's image, unless it is there.

        Raises:
            DataError: if the original cannot be read.
            WeightsError: if weights are missing or damaged.
            ScaleError: if the model does not make the scale.
            OutputError: if it cannot be written.
        """
        if self.file(image, model.label).exists():
            return
        lr, original = make_pair(read_rgb(image.path), self.scale, "none")
        size = original.shape[0], original.shape[1]
        place = find_device(self.device)
        network, numbers = _load(model.weights, str(place)), find_precision(self.precision, place)
        write_picture(upscale(network, lr, size, precision=numbers), self.file(image, model.label))


@lru_cache(maxsize=1)
def _load(source: str, device: str) -> SuperResolver:
    """The model, once a process."""
    return weights.load(source, device)


def write_picture(picture: Picture, path: Path) -> None:
    """Write a PNG whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    with atomic_write(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG", compress_level=1)


def _folder_name(model: Enlarger) -> str:
    """A folder of its own for each weights, so that none are taken for others'."""
    return f"{model.label}-{weights.card(model.weights).sha256[:DIGEST_DIGITS]}"
