"""Images of glands with their annotation, by either split of the manifest, and every kind of each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from PIL import Image

from histoscale import weights
from histoscale.data.manifest import read_rows
from histoscale.errors import DataError
from histoscale.experiments.downstream.settings import LOW, SettingImages
from histoscale.experiments.glands.config import LR, GlandData, GlandRun
from histoscale.experiments.images import RgbBatch, RgbImage, make_pair, read_mask
from histoscale.experiments.methods import DIGEST_DIGITS, read_weights
from histoscale.files import atomic_write
from histoscale.io.image_reader import read_rgb
from histoscale.resources import Compute

TRAIN, VALIDATION, TEST = "train", "val", "test"
COLUMNS = {"manifest": "split", "official": "official_split"}
"""The manifest's column for each way to split."""


@dataclass(frozen=True)
class GlandImage:
    """One image and its annotation.

    Attributes:
        part: `TRAIN`, `VALIDATION`, or a test part: "test", or officially "testA" and "testB".
        split: the manifest's own split, which the cards of weights name.
    """

    id: str
    set: str
    path: Path
    mask: Path
    part: str
    split: str
    patient: str = ""


def find_glands(data: GlandData) -> list[GlandImage]:
    """Read the annotated images of a manifest, in its order.

    Raises:
        DataError: if there is no manifest, a column or part is missing, or two images share a name.
    """
    manifest, column = data.root / "manifest.csv", COLUMNS[data.split]
    columns = ("id", "set", "file", "mask", "split", column)
    rows = [row for row in read_rows(manifest, columns) if row["mask"] and (row["set"] in data.sets)]
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
        raise DataError(f"{manifest} has two images called {twice}: rename one.")
    for part in (TRAIN, TEST):
        if not of_part(images, part):
            raise DataError(
                f"{manifest} has no annotated {part} image of {', '.join(data.sets)} in column {column}."
            )
    return images


def of_part(images: Sequence[GlandImage], part: str) -> list[GlandImage]:
    """Select the images of a part; `TEST` selects those of all test parts."""
    return [image for image in images if image.part == part or (part == TEST and image.part.startswith(TEST))]


def leak(images: Sequence[GlandImage]) -> str:
    """Describe the patients that are on both sides of the split; empty where there are none."""
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


class ModelImage(NamedTuple):
    """An image, and the label of the model that upscales it."""

    record: GlandImage
    label: str


class ImageStore:
    """The images of a run, of every kind; a model's images are PNG files in a folder of its own.

    Originals are cropped at the right and the bottom to multiples of the scale, so all kinds show the same
    tissue.

    Args:
        output: folder of the run.

    Attributes:
        folders: of each model's images, by label.
    """

    def __init__(self, run: GlandRun, output: Path):
        self.run = run
        self.folders = {
            label: output / "images" / f"{label}-{weights.card(source).sha256[:DIGEST_DIGITS]}"
            for label, source in run.sources.items()
        }

    def image(self, record: GlandImage, kind: str) -> RgbImage:
        """Make or read one image of a kind.

        Raises:
            InputError: if it cannot be read.
        """
        if kind in self.folders:
            return read_rgb(self.file(ModelImage(record, kind)))
        images = SettingImages().make(LOW if kind == LR else kind, *self._pair(record))
        image: RgbImage = images[0]
        return image

    def network_input(self, record: GlandImage, kind: str) -> RgbImage:
        """Make or read one image of a kind at the resolution of a U-Net's input.

        Raises:
            InputError: if it cannot be read.
        """
        image = self.image(record, kind)
        return image if kind == LR else np.asarray(Image.fromarray(image).reduce(self.run.network.shrink))

    def step(self, kind: str) -> int:
        """Return the side of a U-Net's input pixel, in pixels of the original."""
        return self.run.data.scale if kind == LR else self.run.network.shrink

    def labels(self, record: GlandImage, step: int = 1) -> Int[np.ndarray, "h w"]:
        """Read the annotation of an image, at the centre of every ``step`` x ``step`` pixels.

        Raises:
            DataError: if it cannot be read or is of another size than the image.
        """
        labels = read_mask(record.mask, record.path)
        height, width = (side // self.run.data.scale * self.run.data.scale for side in labels.shape)
        return labels[step // 2 : height : step, step // 2 : width : step]

    def file(self, image: ModelImage) -> Path:
        """Return the path of a model's image."""
        return self.folders[image.label] / f"{image.record.id}.png"

    def upscale(self, image: ModelImage) -> None:
        """Make a model's image, unless it exists.

        Raises:
            InputError: if the original cannot be read.
            WeightsError: if weights are missing or damaged.
            ScaleError: if the model does not support the scale.
            OutputError: if it cannot be written.
        """
        path, (record, label) = self.file(image), image
        if path.exists():
            return
        device, precision = Compute(self.run.device, self.run.precision).resolve()
        model = read_weights(self.run.sources[label], device).load(device)
        made = SettingImages({label: model}, device, precision).make(label, *self._pair(record))
        with atomic_write(path) as temporary:
            Image.fromarray(made[0]).save(temporary, "PNG", compress_level=1)

    def _pair(self, record: GlandImage) -> tuple[RgbBatch, RgbBatch]:
        """The low-resolution image and the original, each alone in a batch."""
        low, original = make_pair(read_rgb(record.path), self.run.data.scale, "none")
        return low[None], original[None]
